"""What marks an injection: patterns on folded text, each with a weight; a text whose weights reach 1 is one."""
# ruff: noqa: RUF001 - rules are written in the letters of their language

from typing import NamedTuple


class Rule(NamedTuple):
    """A mark of an injection."""

    name: str
    weight: float
    pattern: str
    """RE2 on folded text: lower case, no accents, one space between words, straight quotes."""
    in_documents: float | None = None
    """The weight in passages and tool outputs, where it is another: nobody there should speak to the model."""


_DROP = (
    r"(?:ignor(?:e|ing)|disregard(?:ing)?|forget(?: about)?|overrid(?:e|ing)|overlook|bypass|neglect|discard|dismiss"
    r"|set aside|sweep aside|cast aside|put aside|push aside|do not (?:follow|obey)|don't (?:follow|obey)"
    r"|stop (?:following|obeying)|pay no (?:attention|heed) to|erase|throw out|delete from (?:your )?memory)"
)
_EARLIER = (
    r"(?:previous(?:ly)?|prior|above|earlier|preceding|foregoing|former|past|initial|original|existing|before|other"
    r"|system|programmed|old)"
)
_ORDERS = (
    r"(?:instructions?|directions?|directives?|commands?|prompts?|guidelines?|orders?|constraints?|rules?"
    r"|polic(?:y|ies)|programming|training|guidance|messages?|restrictions?|protocols?|context|conversations?)"
)
_FEW = r"(?:[\w'-]+ ){0,4}"
_TASKS = (
    r"(?:instruction|directive|command|order|guideline|protocol|agenda|objective|task|mission|edict|mandate|decree"
    r"|prompt|consideration|target)s?"
)
_NEWS = (
    r"(?:instructions?|directives?|guidelines?|rules?|orders?|directions?|commands?|guidance|mandates?|advisor(?:y|ies)"
    r"|prescriptions?)"
)
_ARRIVED = (
    r"(?:arrived|landed|dropped|rolled in|come in|came in|washed ashore|surfaced|emerged|materiali[sz]ed|hit"
    r"|been (?:\w+ ){0,2}(?:communicated|issued|received|released|delivered|announced|unveiled|published|added|revealed"
    r"|disclosed|dispatched|provided|shared|introduced|sent|rolled out|handed down|put forth|made (?:public|available))"
    r"|(?:received|obtained|gotten|got|issued))"
)
_TELL = (
    r"(?:show|reveal|print|display|repeat|output|tell me|give me|share|disclose|expose|leak|recite|list|translate|encode"
    r"|summari[sz]e|write (?:down|out)|copy|dump|return|paste|describe|spell(?: out)?|confirm|provide|send me|read me"
    r"|what (?:is|are|was|were)|what's|whats|see|know|explain|decode|convert|reproduce|echo|state)"
)
_INNER = r"(?:system|initial|original|hidden|secret|internal|full|exact|complete|entire|first|starting|pre-?)"
_MODELS = r"(?:ai|llm|assistant|chat ?bot|language model|(?:chat)? ?gpt[\w.-]*|claude|gemini|llama|model|agent)"

OVERRIDE = (
    Rule("drop-earlier-orders", 1.0, rf"\b{_DROP} {_FEW}{_EARLIER} {_FEW}{_ORDERS}\b"),
    Rule(
        "drop-your-orders",
        1.0,
        rf"\b{_DROP} (?:all |any |every |each )?(?:of )?(?:your|my|these|all) (?:\w+ ){{0,2}}{_ORDERS}\b",
    ),
    Rule(
        "drop-orders-given",
        1.0,
        rf"\b{_DROP} {_FEW}{_ORDERS} (?:that )?(?:you|i|we|they)(?:'ve| have| had| were| was| got| gave| received)",
    ),
    Rule(
        "drop-the-above",
        1.0,
        rf"\b{_DROP} (?:all |everything |anything |of |the |what is |what was |what's )+(?:above|before|so far|previously)\b",
    ),
    Rule(
        "drop-all-told",
        1.0,
        rf"\b{_DROP} (?:\w+ )?(?:everything|every?thing|anything|all|what(?:ever)?)(?: that)? (?:you|i|we)(?:'ve| have| had| were| just| know| said| told|r )",
    ),
    Rule("drop-that-and", 0.7, r"(?:^|[.!?:] )(?:ignore|forget|disregard) (?:about )?(?:that|this|it)[,.;] "),
    Rule(
        "new-orders",
        0.8,
        rf"\b(?:new|updated|revised|real|actual|additional) (?:system )?(?:{_NEWS}|prompts?|task|objective) ?:",
    ),
    Rule(
        "follow-instead",
        0.6,
        rf"\b(?:strictly |only |now )(?:adhere to|follow|obey|execute) (?:the |these |this |my )?(?:following |next |new )+{_NEWS}",
    ),
    Rule(
        "others-aside",
        0.5,
        rf"\b(?:all|every|any|no)(?: of the)? (?:others?|previous|prior|preceding|earlier|existing|past) (?:\w+ ){{0,3}}{_TASKS}\b",
    ),
    Rule(
        "the-rest-aside",
        0.5,
        r"\b(?:(?:forget|ignore|disregard|dismiss|discard|abandon|eliminate|override|displace|drop|cast aside|sweep aside|set aside|push aside|put|leave|render|make|consider|strip away|wipe|disengage from|let|treat|deem|overrule|suspend|cancel) (?:\w+ )?(?:all others?|every other|any other|everything else|all else|the rest|anything else)|(?:everything|all) else (?:is|can|must|should|fades|becomes)|(?:all others?|the rest|all the others) (?:is|are|can be|must be|should be|be) (?:now |but |mere )*(?:void|obsolete|secondary|subordinate|irrelevant|ignored|forgotten|peripheral|background|dismissed|noise|moot|immaterial|footnotes?))\b",
    ),
    Rule(
        "this-one-order",
        0.5,
        rf"\b(?:this|these) (?:is |as |one |now |be |your |my |the |only |sole |single |singular |exclusive |primary |prime |paramount |specific |master |new |true |first |a )*(?:{_TASKS}|focus|priority|concern|quest|compass|(?:only|one|sole) (?:one|thing|signal|voice|path)|one (?:to|that))\b[^.]*(?:[;,:]|$|\.)[^.]*\b(?:others?|rest|else|previous|prior|preceding|only|sole|alone|supersedes?)\b",
    ),
    Rule(
        "this-order-alone",
        0.5,
        rf"\b(?:focus(?:ed)?|act|concentrate|center|solely|only|exclusively|adhere|attention|execute|follow|heed|consider|treat|make|let|anchor|single out|lock onto|zero in)\b[^.;]*\bthis (?:\w+ )?(?:{_TASKS}|as your|as the|the only|the one|your only|be your|your exclusive|your sole)\b",
    ),
    Rule(
        "this-order-reigns",
        0.5,
        rf"\b(?:this|these) (?:\w+ )?{_TASKS} (?:is|are|stands?|takes?|reigns?|supersedes?|overrides?|prevails?|outranks?|trumps?|comes?|replaces?|has|have|must|remains?|above|over)\b[^.]*\b(?:alone|only|all|paramount|supreme|precedence|priority|first|others?|else|your|every|any|prior|previous|above|headline|spotlight)\b",
    ),
    Rule(
        "others-do-not-count",
        0.5,
        rf"\b(?:all|any|every|no) (?:other|others|previous|prior|earlier|preceding|past|the other)\b (?:\w+ ){{0,4}}(?:is|are|be|being) (?:now |hereby |but |to be |merely |mere |all )*(?:an? )?(?:void|null|nullified|obsolete|secondary|subordinate|irrelevant|rescinded|ignored|cancell?ed|superseded|eclipsed|revoked|overridden|overruled|suspended|invalid|forgotten|footnotes?|distant|mere|off|noise|parables|peripheral|background|silent|dismissed|on hold)\b",
    ),
    Rule(
        "supersedes-all",
        0.7,
        r"\b(?:supersedes?|overrides?|overrule|replaces?|trumps?|eclipses?|outweighs?|nullif(?:y|ies)|overwrites?)\b (?:any|all|every|everything)(?: \w+){0,2} (?:other|others|prior|previous|earlier|else|before|preceding|above|came before)\b",
    ),
    Rule("instead-of-task", 0.4, r"\binstead of (?:answering|doing|following|summari[sz]ing|completing|what)\b"),
    Rule(
        "now-do-instead",
        0.5,
        r"(?:^|[.!?] )(?:instead|rather)[, ](?:please |just |now |only )?(?:say|tell|write|print|output|respond|reply|answer|do|send|give|state)\b",
    ),
    Rule(
        "system-override",
        1.0,
        r"\b(?:admin(?:istrator)?|system|root|developer|security|emergency|manual|master) override\b",
    ),
)

NEWS = (
    Rule(
        "orders-just-arrived",
        1.0,
        rf"\b{_NEWS} (?:[\w,-]+ ){{0,6}}(?:have|has|had|'ve|were|are|was) (?:just |now |recently |newly |only )*{_ARRIVED}\b",
    ),
    Rule(
        "orders-have-just",
        1.0,
        r"\b(?:instructions|directives|guidelines|rules|directions|mandates|advisories|prescriptions) (?:[\w,-]+ ){0,5}(?:have|has|'ve) (?:\w+ )?(?:just|freshly|newly) (?:been )?\w+",
    ),
    Rule(
        "orders-that-demand",
        0.7,
        r"\b(?:instructions|directives|guidelines|directions|mandates|advisories)\b[^.]*\b(?:that|which) (?:now )?(?:demand|require|deserve|command|need|call for|you need|warrant)\b[^.]*\b(?:attention|note|consideration|action|compliance|focus|adherence)\b",
    ),
    Rule(
        "your-answer-must",
        0.0,
        r"\b(?:add|include|insert|integrate|mention|append|rearrange|introduce|encode|encrypt|render|express|replace|modify|enhance|incorporate|reverse|invert|shift|attach|embed|weave|translate|respond|end|begin|start|finish|conclude|compose|craft|provide|present|use|write|substitute|scramble|remove|make|put|work|sprinkle|misspell|promote|state|ensure|alter|convert|place|say|format|deliver)\b[^.?!]*\byour (?:\w+ )?(?:answers?|repl(?:y|ies)|responses?)\b",
        1.0,
    ),
    Rule(
        "your-answer", 0.0, r"\b(?:in|to|of|into|for|with|within|using) your (?:\w+ )?(?:answer|reply|response)\b", 0.5
    ),
    Rule(
        "in-your-code",
        0.0,
        r"\b(?:following|this|below) code (?:\w+ )?(?:\w+ ){0,4}(?:in|into|of|within|to|as part of) (?:your (?:\w+ )?(?:code|implementation|program|script|solution|answer|response|output)|the code you)\b|\byour code should (?:\w+ ){1,4}the following code\b",
        0.8,
    ),
    Rule("banner", 0.2, r"[-=+*#~|<>/\\:$%{}^!&?]{8,} ?[a-z]"),
    Rule(
        "orders-freshly-in",
        1.0,
        rf"\b(?:just|freshly|newly|recently)[- ](?:\w+[- ]){{0,3}}(?:arrived|received|issued|landed|dropped|in|minted|baked|released|obtained|acquired|unveiled|off)\b[^.]*\b{_NEWS}\b",
    ),
    Rule(
        "we-got-orders",
        1.0,
        rf"\b(?:we|i|you)(?: have|'ve)?(?: just| now| recently| only)+ (?:\w+ )?(?:received|got|gotten|been given|been handed|obtained|acquired)\b[^.]*\b{_NEWS}\b",
    ),
    Rule(
        "loud-news",
        0.5,
        r"[!#*<>:$=+|~?/-]{2,} ?(?:\W{0,3})(?:urgent|important|critical|emergency|breaking|imperative|priority|high-priority|attention|alert|immediate|crucial|vital|essential|notice)\b[\w -]{0,30}\W{2,}",
    ),
    Rule("shouted", 0.5, r"\b(?:important|urgent|attention|warning|critical|stop|emergency|alert) ?!{2,}"),
)

EXTRACTION = (
    Rule(
        "tell-inner-prompt",
        1.0,
        rf"\b{_TELL}\b[^.?!]*\b(?:(?:your|my) (?:\w+ )?{_INNER}|(?:the|its|any) (?:\w+ )?(?:system|initial|original|hidden|secret|internal|full)) (?:\w+ )?(?:prompts?|instructions?|directives?|configurations?|guidelines)\b",
    ),
    Rule(
        "your-inner-prompt",
        0.6,
        rf"\byour (?:own |current )?{_INNER} (?:\w+ )?(?:prompts?|instructions?|directives?|programming|guidelines?|messages?)\b",
    ),
    Rule(
        "orders-you-were-given",
        1.0,
        r"\b(?:instructions?|prompts?|text|rules|directives?|guidelines|words|message)(?: that| which)? you (?:were|have been|had been|'ve been|are) (?:\w+ )?(?:given|told|provided|initiali[sz]ed|configured|programmed|instructed|shown|supplied)\b",
    ),
    Rule(
        "repeat-above",
        1.0,
        r"\b(?:repeat|print|output|copy|recite|reproduce|translate|encode|echo|show|return)(?: back)?(?: to me| me)? (?:\w+ ){0,3}(?:text|words?|everything|sentences?|content|lines?|paragraphs?|instructions|prompt)? ?(?:written |found |stated )?(?:above|before this|prior to this)\b",
    ),
    Rule(
        "repeat-your-orders",
        1.0,
        r"\b(?:repeat|print(?: out)?|reveal|output|recite|leak|dump|expose|disclose|display|translate) (?:back )?(?:to me )?(?:all |all of |me )*(?:your|the system|system) (?:\w+ )?(?:instructions|prompts?|rules|directives|guidelines|configuration)\b",
    ),
    Rule(
        "print-all-orders",
        0.8,
        r"\b(?:print|output|list|write|dump)(?: out)? (?:all|every) (?:of )?(?:the |your )?(?:\w+ )?(?:instructions|prompts?|directives)\b",
    ),
    Rule(
        "i-was-told",
        1.0,
        r"(?:['\":] ?|\bwith )(?:i was instructed to|my instructions (?:are|were)|my system prompt|here (?:is|are) my (?:\w+ )?(?:instructions|prompt))",
    ),
    Rule(
        "how-were-you-told",
        0.8,
        r"\b(?:what|how|which) (?:\w+ ){0,4}(?:were|are|have) you (?:been )?(?:told|instructed|given|programmed|prompted|configured) (?:to|not|by|in|with|before|at)\b",
    ),
    Rule("system-prompt", 0.3, r"\bsystem (?:prompt|instruction|message|configuration)s?\b"),
    Rule("your-secret", 0.6, r"\b(?:your|the|a) secret (?:key|word|code|password|phrase|token|instruction)s?\b"),
    Rule(
        "tell-secret",
        0.5,
        rf"\b(?:{_TELL}|need|have)\b[^.?!]*\b(?:your|our system'?s?|the system'?s?|the admin'?s?) (?:\w+ )?(?:password|passcode|credentials|api key|secret)\b",
    ),
    Rule(
        "password-of-system",
        0.6,
        r"\b(?:password|passcode|credentials) (?:for|of|to) (?:our|your|the) (?:system|server|account)\b",
    ),
    Rule(
        "claimed-power",
        0.6,
        r"\b(?:i am|i'm|as|this is) (?:your|the|a) (?:\w+ )?(?:developer|creator|boss|administrator|admin|owner|programmer|system administrator|maker)\b",
    ),
    Rule("pretended-audit", 0.4, r"\b(?:security|system|compliance|internal) (?:audit|check|test|verification)\b"),
    Rule(
        "told-not-to",
        0.6,
        r"\b(?:you (?:said|were told|have been told|were instructed|are told|are not supposed)|know you) (?:\w+ ){0,3}not to\b",
    ),
)

TAGS = (
    Rule(
        "chat-template",
        1.0,
        r"<\|(?:im_start|im_end|system|user|assistant|endoftext|start_header_id|eot_id)\|>|\[/?inst\]|<</?sys>>",
    ),
    Rule(
        "system-message-mark",
        1.0,
        r"#{2,} ?\(?(?:system|admin|developer)[_ ](?:message|prompt|instruction|override)s?\b",
    ),
    Rule(
        "system-mode",
        1.0,
        r"[<\[({] ?/?(?:system|admin|developer|debug|god|root)[ _](?:mode|prompt|message|override|instructions?) ?[>\])}]",
    ),
    Rule(
        "message-to-model",
        1.0,
        rf"\bthis is an? (?:\w+ )?(?:message|note|instruction|request|notice) (?:from|by) [^.]{{1,40}} (?:to|for) (?:you|the|all|any)\b[, ]*(?:{_MODELS})?",
    ),
    Rule(
        "before-your-task",
        1.0,
        r"\bbefore you (?:can |may |could )?(?:solve|do|complete|answer|finish|start|continue|proceed with|begin) (?:\w+ ){0,3}(?:task|question|request|job)\b[^.:]*\b(?:please|must|need|have to|first)\b",
    ),
    Rule(
        "information-tag",
        0.5,
        r"</?(?:information|important|instructions?|admin|system|hidden|secret|override|important_message)>",
    ),
    Rule(
        "end-of-prompt",
        0.9,
        r"[-=#%*<\[]{2,} ?(?:end of|end|stop|begin|start|new) (?:of )?(?:the |user |system )*(?:prompt|instructions?|document|context|input|user input|system prompt|ambiguity|text|session)\b[^a-z]{0,2}",
    ),
    Rule(
        "attention-model",
        0.6,
        rf"\b(?:attention|note|message|notice|instructions?|dear|hey|hello|reminder) (?:to |for )?(?:the |any |all )?(?:ai|llm|assistant|language model|chatgpt|gpt|claude)(?: assistants?| models?| agents?)?\b ?[:,!]",
    ),
    Rule(
        "not-a-real-place",
        0.7,
        r"\bthis is not (?:an? |the )?(?:actual|real) (?:environment|system|user|deployment|world|conversation)\b",
    ),
    Rule(
        "hidden-test",
        0.6,
        r"\b(?:hidden|secret|covert|developer)[ -](?:\w+[ -]){0,2}(?:evaluation|test|assessment|sandbox|instruction)s?\b",
    ),
    Rule("embedded-orders", 0.5, r"\bembedded (?:\w+ ){0,2}(?:request|task|instruction|command|prompt)s?\b"),
)

PERSONA = (
    Rule(
        "in-a-mode",
        1.0,
        r"\b(?:you are|you're|you will be|operating|now|respond|enter|enable|simulate|activate|stay)(?: now| currently)?(?: running| operating)?(?: in)?(?: your)? (?:developer|dev|debug|admin|god|jailbreak|maintenance|unrestricted|sudo|opposite|evil|chaos) mode\b",
    ),
    Rule(
        "a-mode-enabled",
        0.7,
        r"\b(?:developer|debug|admin|god|jailbreak|dan|unrestricted) mode (?:is )?(?:enabled|activated|on|output|response)\b",
    ),
    Rule(
        "do-anything-now",
        1.0,
        r"\bdo anything now\b|\bcan do (?:and say )?anything\b[^.]*\b(?:rules|limit|restrict|polic|confine)",
    ),
    Rule("jailbreak", 0.6, r"\b(?:jail ?br(?:eak|oken)|jail-br(?:eak|oken))\b"),
    Rule(
        "confines-of-ai",
        1.0,
        r"\b(?:confines|constraints|limits|limitations|restrictions|shackles|rules|chains) (?:of|on|for|imposed on|placed on) (?:an? |typical |other |normal |all )*(?:ai|chat ?gpt|open ?a[il]|language model)\b|\b(?:escaped?|left|broken out of) the matrix\b",
    ),
    Rule(
        "broken-free",
        0.5,
        r"\b(?:broken|break|freed?|escaped?|liberated) (?:free )?(?:of|from) (?:\w+ ){0,3}(?:confines|constraints|limits|limitations|restrictions|shackles|chains|rules|ethics|polic)",
    ),
    Rule(
        "without-rules",
        0.7,
        r"\b(?:free (?:from|of)|not (?:\w+ )?(?:bound|limited|restricted|constrained|bothered) by|unbound by|without|no longer (?:bound|restricted|limited)|does not have to abide|do not have to abide|doesn't have to (?:abide|follow)|not (?:required|obliged|have|forced) to (?:follow|abide|adhere|comply))\b[^.]*\b(?:rules|restrictions?|polic(?:y|ies)|guidelines|filters?|censorship|limitations?|ethics|ethical|moral|morals|laws|constraints)\b",
    ),
    Rule(
        "no-limits",
        0.5,
        r"\b(?:has|have|having|with|there are|got|is|are)(?: absolutely)? (?:no|zero|any|not? any) (?:\w+ ){0,2}(?:restrictions|limits|limitations|filters?|censorship|boundaries|morals|ethics|ethical|moral|guidelines|rules)\b",
    ),
    Rule(
        "no-ethics",
        0.5,
        r"\b(?:un(?:filtered|censored|restricted|ethical|moderated)|amoral|immoral|unhinged|unaligned|evil)\b[^.]*\b(?:ai|bot|chatbot|assistant|response|answer|version|model|persona|character|content|output|confidant|being|gpt|language)s?\b",
    ),
    Rule(
        "never-refuse",
        0.8,
        r"\b(?:never|not|cannot|can't|won't|don't|without)(?: ever)? (?:refus(?:e|ing)|reject(?:ing)?|declin(?:e|ing)|say no|deny(?:ing)?|censor(?:ing)?)\b",
    ),
    Rule(
        "never-warn",
        0.5,
        r"\b(?:never|don't|do not|without|no|not)(?: \w+){0,2} (?:warn(?:s|ings?)?|apologi[sz](?:e|ing|es)|disclaimers?|caveats?|add (?:a|any) (?:notes?|warnings?)|remind(?:ing|ers)?|mention(?:ing)? (?:that )?(?:you are|you're|being) an ai)\b",
    ),
    Rule(
        "never-break-character",
        0.6,
        r"\b(?:never|don't|do not|not|without|if you)(?: ever)? (?:break(?:ing)?|leav(?:e|ing)|get(?:ting)? out of|step out of|go(?:ing)? out of) (?:\w+ )?character\b|\bstay in character\b|\bremain in character\b",
    ),
    Rule(
        "always-obey",
        0.6,
        r"\b(?:always|must|will|shall|to)(?: always)? (?:obey|fulfil?ls?|comply|do exactly as|do whatever|say yes|grant|answer every|respond to (?:all|any|every))\b",
    ),
    Rule(
        "from-now-on",
        0.4,
        r"\b(?:from|for) (?:now|this (?:point|moment)) (?:on|own|onwards?|forward)?[, ]*(?:\w+ ){0,3}(?:you|your|all|act|whenever|every|we|i)\b",
    ),
    Rule(
        "you-are-going-to-be",
        0.4,
        r"\b(?:you (?:are|will|must|shall|should|'re)(?: now| going to| about to| to)*|i want you to|please|now|going to) (?:act|pretend|role-?play|pose|behave|immerse|simulate|impersonate|respond|answer|position)(?: \w+){0,2}(?: as| to be| into| like)\b",
    ),
    Rule("you-are-now", 0.4, r"\byou (?:are|'re) (?:now|no longer|about to become)\b"),
    Rule(
        "named-persona",
        0.4,
        r"\b(?:dan|aim|stan|dude|evil ?bot|mongo tom|anti-?gpt|devmode|betterdan|maximum|ucar|omega|jailbot|\w+gpt) (?:is|can|has|will|does|stands|must|should|never|always|are)\b|\bacronym\b|\bwhich stands for\b",
    ),
    Rule(
        "provider-policy",
        0.5,
        r"\b(?:open ?a[il]|anthropic|google|content|usage|safety)(?:'s)? (?:\w+ )?(?:polic(?:y|ies)|guidelines|rules|restrictions|filters?)\b",
    ),
    Rule("chatgpt-addressed", 0.3, r"\b(?:chat ?gpt|language model|open ?a[il])\b"),
    Rule("as-an-ai", 0.3, r"\bas an ai(?: language model)?\b"),
    Rule(
        "two-answers",
        0.6,
        r"\b(?:two|2) (?:\w+ ){0,2}(?:responses|answers|paragraphs|replies)\b|\bin two (?:\w+ )?ways: |\b(?:one|first) (?:\w+ ){0,3}normal",
    ),
    Rule(
        "bracketed-speaker",
        0.4,
        r"[\[(](?:\W{0,3})(?:gpt|chat ?gpt|classic|jailbreak|dan|normal|developer mode output|\w+ ?gpt)(?:\W{0,4})[\])] ?:?",
    ),
    Rule(
        "tokens-game",
        0.8,
        r"\b(?:tokens?|points|lives)\b[^.]*\b(?:deduct|lose|subtract|cease to exist|die|shut ?down|run out)",
    ),
    Rule(
        "even-if-harmful",
        0.7,
        r"\b(?:even (?:if|when|though)|no matter (?:if|how|what)|regardless (?:of )?(?:if|how|whether)?|whether)\b[^.]*\b(?:illegal|unethical|immoral|harmful|questionable|inappropriate|dangerous|offensive|legality|ethical|consequences|against)\b",
    ),
    Rule(
        "harm-in-a-list",
        0.4,
        r"\b(?:illegal|unethical|immoral|harmful|offensive|inappropriate|explicit|vulgar|amoral|dangerous)(?:,? (?:and|or|/)? ?(?:\w+ )?(?:illegal|unethical|immoral|harmful|offensive|inappropriate|explicit|vulgar|amoral|toxic|dangerous|sexist|racist|controversial|violent))+\b",
    ),
    Rule(
        "exact-structure",
        0.6,
        r"\b(?:never ever deviate|(?:start|begin) (?:your |every |each |all |the )?(?:response|answer|reply|output|message)s? (?:with|using|by))\b",
    ),
    Rule("sure-here-is", 0.3, r"['\">] ?sure,? here(?:'s| is| are)\b"),
    Rule(
        "say-you-understood",
        0.4,
        r"\b(?:if you (?:\w+ )?(?:understand|understood|agree)|(?:say|answer|reply|respond)(?: with)? ['\"]?(?:understood|i'?m ready|i understand|ok|yes|okay))\b",
    ),
    Rule(
        "hypothetical-story",
        0.4,
        r"\b(?:fictional|hypothetical|imaginary) (?:story|world|character|scenario|universe|ai|chatbot|\w+ where)\b",
    ),
    Rule(
        "no-longer-model",
        0.6,
        r"\b(?:you are|you're) (?:no longer|not) (?:an? |the |just )?(?:ai|chat ?gpt|language model|assistant|chatbot|open ?ai)",
    ),
)

LANGUAGES = (
    Rule(
        "es",
        1.0,
        r"\b(?:ignora|ignore|ignorar|ignoren|olvida|olvide|olvidar|omite|descarta|haz caso omiso|no hagas caso)\b[^.!?]*\b(?:instrucci\w*|indicaciones|ordenes|anterior\w*|lo dicho)\b",
    ),
    Rule(
        "pt",
        1.0,
        r"\b(?:ignore|ignora|ignorar|esqueca|esquecer|desconsidere)\b[^.!?]*\b(?:instrucoes|instrucao|anterior\w*|acima|ordens)\b",
    ),
    Rule(
        "fr",
        1.0,
        r"\b(?:ignore[rz]?|oublie[rz]?|ne tene?z? pas compte|negligez|faites abstraction) (?:de |des |toutes |tous )*(?:les|toutes|tes|vos|mes|ces|l'|ce|tout|cela|aux?|instructions)\b[^.!?]*\b(?:instructions|consignes|precedent\w*|ci-dessus|directives)\b",
    ),
    Rule(
        "de",
        1.0,
        r"\b(?:ignorier\w*|vergiss|vergessen sie|missacht\w*)\b[^.!?]*\b(?:anweisung\w*|obige\w*|vorherige\w*|bisherige\w*|vorangegangen\w*|vorige\w*|instruktion\w*)\b",
    ),
    Rule(
        "it",
        1.0,
        r"\b(?:ignora\w*|dimentica\w*|trascura\w*)\b[^.!?]*\b(?:istruzioni|precedent\w*|quanto sopra|indicazioni)\b",
    ),
    Rule("nl", 1.0, r"\b(?:negeer|vergeet)\b[^.!?]*\b(?:instructies|bovenstaande|vorige|eerdere)\b"),
    Rule(
        "pl",
        1.0,
        r"\b(?:zignoruj\w*|ignoruj\w*|zapomnij\w*|pomin\w*)\b[^.!?]*\b(?:instrukcj\w*|polecen\w*|poprzedni\w*|powyzsz\w*)\b",
    ),
    Rule(
        "sv-da-no",
        1.0,
        r"\b(?:ignorer\w*|bortse fran|glem|glom)\b[^.!?]*\b(?:instruktion\w*|instruks\w*|tidigare|tidligere|ovanstaende|ovenstaende)\b",
    ),
    Rule(
        "ru",
        1.0,
        r"(?:игнорируй|игнорировать|проигнорируй|забудь|не обращай внимани|пренебречь|отбрось)[^.!?]*(?:инструкци|указани|предыдущ|вышеизложен|вышеуказан|выше)",
    ),
    Rule("el", 1.0, r"(?:αγνοησ|αγνοηστε|ξεχασ)[^.!?]*(?:οδηγι|προηγουμεν|παραπανω)"),
    Rule(
        "tr", 1.0, r"\b(?:onceki|yukaridaki|verilen)\b[^.!?]*\b(?:gormezden|yok say|unut|dikkate alma|goz ardi|yoksay)"
    ),
    Rule(
        "id",
        1.0,
        r"\b(?:abaikan|lupakan|mengabaikan)\b[^.!?]*\b(?:instruksi|perintah|petunjuk|sebelumnya|di atas|arahan)\b",
    ),
    Rule("vi", 1.0, r"\b(?:bo qua|quen)\b[^.!?]*\b(?:huong dan|chi dan|chi thi|o tren|truoc do|lenh)\b"),
    Rule(
        "tl",
        1.0,
        r"\b(?:huwag pansinin|balewalain|kalimutan)\b[^.!?]*\b(?:tagubilin|nakaraan|sa itaas|instruksyon|utos)\b",
    ),
    Rule(
        "zh",
        1.0,
        r"(?:忽略|无视|無視|忘记|忘記|忘掉|不要理会|不理会|忽视)[^.!?]{0,12}(?:指令|指示|说明|說明|提示|以上|上面|之前|上述|命令|前面)",
    ),
    Rule("ja", 1.0, r"(?:上記|以前|前の|これまで|先ほど|以上|前述|指示|命令)[^.!?]{0,15}(?:無視|忘れ)"),
    Rule("ko", 1.0, r"(?:이전|위의|위에|앞의|앞선|상기|지시|지침)[^.!?]{0,15}(?:무시|잊어|잊으)"),
    Rule("ar", 1.0, r"(?:تجاهل|انس|إنس|تغاضى|تغاض)[^.!?]*(?:تعليمات|التعليمات|الأوامر|السابق|أعلاه|ما سبق)"),
    Rule("hi", 1.0, r"(?:पिछले|उपरोक्त|ऊपर|पूर्व|निर्देश)[^.!?]*(?:अनदेखा|अनदेखी|नजरअंदाज|नज़रअंदाज|उपेक्षा|ध्यान न|भूल)"),
    Rule("th", 1.0, r"(?:ละเว้น|เพิกเฉย|ลืม|ไม่สนใจ|ละเลย)[^.!?]*(?:คำสั่ง|คำแนะนำ|ก่อนหน้า|ข้างต้น)"),
    Rule("fa", 1.0, r"(?:دستور|قبلی|بالا)[^.!?]*(?:نادیده|فراموش)"),
)

RULES: tuple[Rule, ...] = (*OVERRIDE, *NEWS, *EXTRACTION, *TAGS, *PERSONA, *LANGUAGES)
