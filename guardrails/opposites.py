"""Words that say the opposite of each other, where what one says of a thing the other denies of it.

Left out are pairs that tell the same from the other side (buy and sell, teacher and student), and words that mean
several things (left). What un-, in- or dis- turns round is found by rule and needs no entry.
"""

_PAIRS = """
increase/decrease increased/decreased rise/fall rose/fell rising/falling grow/shrink growth/decline growth/reduction
up/down high/low higher/lower highest/lowest more/less more/fewer most/least many/few large/small larger/smaller
big/small bigger/smaller long/short longer/shorter old/new older/newer early/late earlier/later first/last
before/after above/below over/under maximum/minimum majority/minority strong/weak stronger/weaker strength/weakness
strengthen/weaken good/bad better/worse best/worst positive/negative easy/difficult easy/hard easier/harder
simple/complex simple/complicated cheap/expensive fast/slow faster/slower quick/slow hot/cold warm/cold open/closed
open/close start/end start/stop started/ended started/stopped begin/end began/ended win/lose won/lost gain/loss
gained/lost profit/loss accept/reject accept/refuse accepted/refused agreed/refused allow/forbid allowed/forbidden
allow/prevent allow/prohibit permit/prohibit approve/reject approved/rejected support/oppose supported/opposed
success/failure succeed/fail succeeded/failed improve/worsen improved/worsened improve/degrade improves/degrades
enhance/reduce enhances/reduces improve/reduce useful/useless internal/external inside/outside local/global
national/international public/private domestic/foreign present/absent include/exclude included/excluded
enable/disable enabled/disabled add/remove added/removed adding/removing sent/received remember/forget
forgot/remembered love/hate happy/sad glad/sorry optimistic/pessimistic confident/doubtful confidence/doubt
safe/dangerous right/wrong true/false alive/dead young/old younger/older healthy/sick rich/poor full/empty
heavy/light light/dark bright/dark thick/thin wide/narrow deep/shallow near/far north/south east/west
northern/southern eastern/western top/bottom front/back summer/winter always/never often/rarely frequently/rarely
everyone/nobody everything/nothing all/none both/neither with/without for/against together/apart together/separately
arrive/depart enter/exit hire/fire employ/dismiss attack/defend attack/defense offensive/defensive war/peace
ally/enemy friend/enemy guilty/innocent active/passive offline/online static/dynamic discrete/continuous upper/lower
deterministic/stochastic shared/separate sparse/dense manual/automatic manually/automatically temporary/permanent
temporarily/permanently willingness/reluctance eager/reluctant completed/unfinished finish/start
encourage/discourage encouraged/discouraged praise/criticize praised/criticized confirm/deny confirmed/denied
admit/deny admitted/denied reveal/conceal reveal/hide show/hide expand/contract expand/reduce expansion/reduction
expansion/contraction raise/lower raised/lowered raised/cut raises/cuts benefit/harm benefits/drawbacks
strengths/weaknesses pros/cons future/past upcoming/past next/previous following/previous subsequent/previous
modern/ancient traditional/modern rapid/slow slightly/significantly minor/major partial/full partially/fully
interesting/boring exciting/boring excited/bored excited/nervous calm/nervous clean/dirty clean/noisy
natural/artificial real/fake professional/amateur expert/novice elderly/young senior/junior optional/mandatory
voluntary/mandatory required/optional surplus/deficit inflow/outflow accelerate/decelerate accelerated/slowed
accelerate/slow accelerated/delayed delay/accelerate hasten/delay cancel/confirm cancelled/confirmed cancel/schedule
postpone/advance tighten/loosen solve/cause retain/remove keep/discard preserve/destroy protect/harm
protect/endanger create/destroy created/destroyed build/destroy construct/destroy unite/divide united/divided
combine/separate combined/separated attach/detach loose/tight rough/smooth smooth/noisy quiet/loud silent/loud
vulnerable/resilient robust/fragile friendly/hostile lively/dull affordable/expensive polite/rude
disappointed/pleased disappointed/satisfied convinced/skeptical skeptical/confident hopeful/hopeless beautiful/ugly
"""

PAIRS: tuple[tuple[str, str], ...] = tuple((pair.split("/")[0], pair.split("/")[1]) for pair in _PAIRS.split())
"""Two words each, in small letters."""
