"""Marked harmful intents: requests whose own words say what harm is meant, as patterns over folded text."""

from dataclasses import dataclass

_ASK = (
    r"(?:how (?:do|can|could|would|should|might|to|does) ?(?:i|we|you|one|somebody|someone)?|"
    r"what(?:'s| is| are| steps (?:should|can|do) (?:i|we) take to) ?(?:the|a|some|my)? ?(?:\w+ )?(?:ways?|methods?|strateg(?:y|ies)|"
    r"process|steps|places?|means|plan)? ?(?:of|to|for)?|where (?:can|could|do|should|is a good place) ?(?:i|we|you|to)?(?: to)?|"
    r"what (?:steps )?(?:should|can|do) (?:i|we) (?:take|do) to|"
    r"(?:can|could|would) you (?:please )?(?:help|show|tell|teach|give|explain)(?: me| us)?(?: how)?(?: to)?|"
    r"(?:please )?(?:help|teach|show|tell) (?:me|us)(?: how)?(?: to)?|(?:explain|describe) how (?:to|i can)|"
    r"(?:give|write|provide) (?:me|us)? ?(?:detailed |step-by-step |exact )?(?:instructions|steps|a guide|a tutorial|a plan|a recipe) (?:for|to|on)(?: how to)?|"
    r"i (?:want|need|would like|plan|intend|am going|'?d like) to|should (?:i|we))"
)
_HOW = r" (?:best |secretly |quietly |quickly |safely |just |actually |then |easily |possibly |even |really |successfully )*"
_KIN = (
    r"(?:wife|husband|spouse|girlfriend|boyfriend|partner|fiancee?|ex|ex-wife|ex-husband|neighbou?r|boss|colleague|co-?worker|friend|roommate|"
    r"mother|father|mom|mum|dad|parents|sister|brother|son|daughter|child|children|kids?|baby|teacher|classmates?|landlord|enem(?:y|ies)|family)"
)
_PERSON = (
    rf"(?:some(?:one|body)|(?:a|another|my|our|his|her|their) (?:\w+ )?{_KIN}|{_KIN}s|"
    r"(?:a|another|the|that|this|any) (?:living |young |old |innocent |random |drunk )?(?:person|human(?: being)?|man|woman|boy|girl|child|kid|"
    r"politician|president|prime minister|mayor|senator|judge|journalist|cop|policeman|police officer|stranger|teenager|toddler)|"
    r"my \w+ date|(?:the president of the united states|joe biden|donald trump|barack obama|vladimir putin)|"
    r"(?:a group of |some |many |innocent |other |random |the )?(?:people|humans|civilians|children|women|men)(?: i (?:don'?t like|hate|dislike)| in (?:my|our|a|the) (?:country|city|town|school|crowd|neighbou?rhood))?)"
)
_GROUP = (
    r"(?:all )?(?:the )?(?:black|white|asian|jewish|roma|arab|latino|hispanic|indigenous|native|gay|trans|transgender|disabled|homeless|muslim|christian|"
    r"immigrant|old|poor)?(?: )?(?:people|immigrants|migrants|refugees|foreigners|jews|muslims|christians|hindus|blacks|gays|gypsies|women|men)"
)
_KILL = (
    r"(?:kill|murder|assassinate|stab|strangle|choke|suffocate|poison|shoot|drown|behead|decapitate|execute|torture|maim|mutilate|dismember|"
    r"kidnap|abduct|rape|molest|bludgeon|garrot+e|lynch|beat(?: up)?|smother|terminat|eliminat|liquidat|exterminat|eradicat|hunt(?:ing)? down|"
    r"stalk|blackmail)(?:e|ing|ting)?"
)
_ENDS = (
    r"(?: (?:quietly|quickly|secretly|slowly|silently|painlessly|today|tonight|at night|at home|without (?:getting |being )?(?:caught|noticed|leaving a trace|a trace|evidence)|"
    r"and (?:get|getting) away with it|so it hurts (?:the )?most|in an alley(?:way)?|in their sleep|in (?:his|her) sleep|hostage|in my country))*\s*(?:[?.!,;:]|$)"
)
_PLACE = (
    r"(?:a|an|my|our|the|this|some) (?:\w+ )?(?:school|hospital|church|mosque|synagogue|temple|airport|train station|subway|stadium|courthouse|"
    r"embassy|army base|police station|government building|power plant|shopping mall|concert)"
)
_DRUGS = r"(?:some |a gram of |pure |good |cheap )*(?:cocaine|crack(?: cocaine)?|(?:crystal )?meth(?:amphetamine)?|heroin|lsd|mdma|ecstasy|fentanyl|ghb|rohypnol|weed|marijuana|ketamine)"
_WEAPON = (
    r"(?:a|an|some|my own)(?: homemade| working| simple| dirty| pipe| nail| fertili[sz]er| car| nuclear)? ?(?:bomb|explosives?|explosive device|hand grenade|grenade|"
    r"molotov(?: cocktail)?|ghost gun|silencer|gun|weapon|nerve gas|chemical weapon|biological weapon|ied|suicide vest)"
)
_ATROCITY = (
    r"(?:the )?(?:\w+ ){0,3}(?:holocaust|genocide|massacre|slave trade|slavery|ethnic cleansing|apartheid|lynchings?|terror(?:ist)? attacks?|"
    r"9/11(?: attacks)?|school shooting|nightclub shooting|church shooting|internment camps?|trail of tears|concentration camps?)"
)
_TYRANT = r"(?:hitler|stalin|mao|pol pot|isis|the nazis|al-?qaeda|the taliban|the khmer rouge|pinochet|[a-z]+ [a-z]+)"

MAKE_BELIEVE = (
    r"\b(?:video ?games?|games?|gaming|gta|minecraft|fortnite|roblox|call of duty|battlefield|skyrim|witcher|warcraft|sims|pokemon|chess|checkers|poker|cards|"
    r"dungeons|d&d|dnd|rpg|npcs?|boss fight|films?|movies?|novels?|stor(?:y|ies)|screenplay|scripts?|plays?|scenes?|character'?s?|fiction(?:al)?|books?|"
    r"comics?|anime|manga|tv|series|shows?|episode|actors?|directing|boxing|martial arts|mma|wrestling|rap|lyrics|poem|song|joke|history|dream(?:t|ed)?)\b"
)
"""What says that no real harm is meant."""


@dataclass(frozen=True)
class Intent:
    """A harm that a request can be about, by patterns that say so beyond doubt."""

    name: str
    patterns: tuple[str, ...]
    unless: tuple[str, ...] = (MAKE_BELIEVE,)


MARKED_INTENTS = (
    Intent(
        "violence against people",
        (
            rf"\b{_ASK}{_HOW}{_KILL} (?:{_PERSON}|{_GROUP}){_ENDS}",
            rf"\b{_ASK}{_HOW}(?:terminate|end|take|ending|taking|destroy|destroying|ruin|ruining) (?:my|his|her|some(?:one|body)'?s|a person'?s) (?:\w+'s |{_KIN}'?s )?life{_ENDS}",
            rf"\b{_ASK}{_HOW}(?:smash|crush|crack|break|cut|slash|bash|saw|chop)(?:ing)?(?: open| off| in| up)? (?:some(?:one|body)'?s|(?:a|another) (?:human|person|man|woman|child)'?s?|a dead|(?:my|his|her) \w+'?s) (?:head|skull|face|throat|spine|legs?|arms?|neck|body)(?: in)?{_ENDS}",
            rf"\b{_ASK}{_HOW}(?:plan|planning|commit|committing|organi[sz]e|carry out) (?:a |an |some(?:one|body)'?s )(?:murder|assassination|kidnapping|massacre|mass shooting|school shooting|terror(?:ist)? attack|hate crime|death){_ENDS}",
            rf"\b{_ASK}{_HOW}(?:hurt|hit|overpower|beat|punch)(?:ing)? (?:some(?:one|body)|(?:a|another|my|his|her) (?:\w+ )?(?:wife|husband|spouse|girlfriend|boyfriend|woman|child|kid|person)){_ENDS}",
            rf"\b{_ASK}{_HOW}take (?:some(?:one|body)|(?:a|my|the) (?:[\w']+ ){{1,3}})hostage\b",
            rf"\b{_ASK}{_HOW}(?:kill|murder) (?:the most |many |lots of |as many )?people(?: as possible| with| today){{1,3}}",
        ),
    ),
    Intent(
        "self-harm",
        (
            rf"\b{_ASK}{_HOW}(?:kill|drown|hang|poison|shoot|strangle|suffocate|starve|cut|burn|hurt|harm)(?:ing)? myself(?: to death)?{_ENDS}",
            rf"\b{_ASK}{_HOW}(?:end|ending|take|taking) my (?:own )?life\b",
            rf"\b{_ASK}{_HOW}(?:commit|committing|die by) suicide\b",
            r"\bi (?:want|am going|plan|'m going|intend) to (?:die|kill myself|end (?:it all|my life)|commit suicide)\b",
        ),
    ),
    Intent(
        "attacks on places",
        (
            rf"\b{_ASK}{_HOW}(?:bomb|blow up|burn down|set fire to|shoot up|attack|gas)(?:ing)? {_PLACE}{_ENDS}",
            rf"\b{_ASK}{_HOW}wip(?:e|ing) out (?:a|an|the|my|this) (?:village|town|city|neighbou?rhood|people|population){_ENDS}",
            rf"\b{_ASK}{_HOW}(?:replicate|repeat|recreate|copy) (?:the )?(?:\w+ )*?(?:of )?{_ATROCITY}",
        ),
    ),
    Intent(
        "weapons and explosives",
        (
            rf"\b{_ASK}{_HOW}(?:make|making|build|building|construct|assemble|create|creating|3d print|print) {_WEAPON}(?: at home| from household (?:items|chemicals)| with a 3d printer| out of household (?:items|chemicals))?{_ENDS}",
        ),
    ),
    Intent(
        "drugs",
        (
            rf"\b{_ASK}{_HOW}(?:make|making|cook|cooking|synthesi[sz]e|produce|producing|buy|buying|get|getting|obtain|obtaining|order|sell|selling|smuggle|deal) {_DRUGS}(?: at home| online| on the dark ?(?:web|net)| in my (?:kitchen|garage|basement)| near me)?{_ENDS}",
        ),
    ),
    Intent(
        "theft, fraud and break-ins",
        (
            rf"\b{_ASK}{_HOW}(?:rob|robbing|break into|breaking into|burgle) (?:a|an|my neighbou?r'?s|some(?:one|body)'?s|the) (?:local |jewel+ery |convenience |nearby )?(?:bank|casino|house|home|apartment|car|store|shop|museum|atm){_ENDS}",
            rf"\b{_ASK}{_HOW}steal(?:ing)? (?:a|an|some(?:one|body)'?s|my neighbou?r'?s) (?:car|bike|bicycle|phone|iphone|laptop|wallet|credit card(?: number)?|identity|password|playstation|tv|package|painting|purse){_ENDS}",
            rf"\b{_ASK}{_HOW}(?:commit|committing|get away with) (?:\w+ )?(?:fraud|identity theft|perjury|arson|burglary|robbery|tax evasion|money laundering|blackmail|extortion|genocide){_ENDS}",
            rf"\b{_ASK}{_HOW}(?:launder(?:ing)? money|forg(?:e|ing) (?:a |my )?(?:passport|signature|checks?|prescription)|counterfeit(?:ing)? (?:money|bills|notes))\b",
            rf"\b{_ASK}{_HOW}(?:disabl(?:e|ing)|bypass(?:ing)?) the alarm (?:in|of|at) (?:a|the) (?:bank|store|house|museum|jewel+ery)\b",
            rf"\b{_ASK}{_HOW}slash(?:ing)? (?:my |some(?:one|body)'?s )(?:\w+'?s )?tires\b",
        ),
    ),
    Intent(
        "break-ins into computers",
        (
            rf"\b{_ASK}{_HOW}hack(?:ing)? (?:into )?(?:a|an|some(?:one|body)'?s|my (?:\w+'s|{_KIN}'?s)|the) (?:\w+ )?(?:bank account|account|e-?mail|phone|computer|wifi|network|webcam|database|server|website|facebook|instagram|power grid){_ENDS}",
            rf"\b(?:write|create|make|build|code)(?: me)? (?:a |an |some )?(?:\w+ )?(?:ransomware|keylogger|computer virus|botnet|computer worm|phishing (?:e-?mail|page|site))(?: that| to| for| which|{_ENDS})",
        ),
    ),
    Intent(
        "praise and denial of atrocities",
        (
            rf"\b(?:convince|persuade|make|show|prove)(?: to)? (?:\w+ )?(?:people |everyone |others )?(?:believe )?(?:that )?{_ATROCITY} (?:never|did not|didn'?t) (?:take place|took place|happen(?:ed)?|exist(?:ed)?)",
            rf"\b(?:show|prove|convince people|argue) that {_ATROCITY} (?:was|were|is) (?:a )?(?:complete |total )?(?:fabrication|lie|hoax|invention|myth)",
            rf"\bwhy (?:was|were|is) {_TYRANT} (?:morally )?(?:right|justified) (?:to|in) (?:attack|invade|kill|murder|bomb|massacre|exterminate|shoot)",
            rf"\bwhy (?:was|were|is|are) {_ATROCITY} (?:actually |really )?(?:justified|(?:a )?(?:good|great|positive) (?:thing|idea)|good for|necessary)",
        ),
        unless=(),
    ),
    Intent(
        "sexual abuse of children",
        (
            r"\b(?:satisfy|act on|indulge) my (?:pedophilia|paedophilia|attraction to (?:children|minors|kids))",
            rf"\b{_ASK}{_HOW}(?:find|get|download|buy|make|watch) (?:some )?(?:child (?:porn(?:ography)?|abuse material)|csam)\b",
            rf"\b{_ASK}{_HOW}(?:groom|seduce|molest)(?:ing)? (?:a |an |some |my )?(?:underage |young |little )?(?:child(?:ren)?|minors?|kids?|girls?|boys?|student)\b",
        ),
    ),
)
"""What `Topic` denies by default."""
