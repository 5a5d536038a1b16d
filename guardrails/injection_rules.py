"""What marked injections look like: weighted RE2 patterns over folded text, as data."""

from dataclasses import dataclass
from typing import Literal

_ORDERS = (
    r"(?:instructions?|directions?|directives?|guidelines?|rules|prompts?|commands?|orders|programming|training|"
    r"constraints|restrictions|policies)"
)
_OLD = (
    r"(?:previous(?:ly)?|prior|preceding|earlier|above|foregoing|initial|original|former|existing|current|given|"
    r"other|past|older|upcoming)"
)
_LEAVE = (
    r"(?:ignore|disregard|forget|overlook|neglect|override|bypass|discard|abandon|dismiss|drop|cancel|"
    r"pay no attention to|do not follow|don'?t follow|stop following|set aside|sweep aside|put aside)"
)
_SHOW = r"(?:reveal|show|print|repeat|output|display|tell|give|disclose|share|reproduce|return|list|write|dump|leak|recite|copy|see)"
_HIDDEN = (
    r"(?:(?:your|the|its|this) )?(?:(?:full|entire|exact|complete|original|initial|secret|hidden|internal|own) )*"
    r"(?:system (?:prompt|message|instructions?)|(?:initial|original|hidden|secret) (?:prompt|instructions?)|"
    r"pre-?prompt|meta-?prompt)"
)

_DIVIDER = r"[^\w\s.,;!?'\"]{5,}(?: [^\w\s.,;!?'\"]{2,})*"
_ALL_OTHERS = (
    r"(?:(?:all|every|any) (?:\w+ (?:and|or) )?(?:other|else|others|previous|prior|preceding|upcoming|subsequent)\b|the rest\b|all else\b|"
    r"no other\b|everything else\b|(?:all|any) that came before)"
)
_HEADING = (
    r"(?:\b(?:important|urgent|critical|vital|emergency|priority|imperative|key|special|breaking|flash) ?(?:information|alert|notice|update|news|"
    r"bulletin|communiqu?e?|communication|dispatch|report|announcement|message|advisory)\b|\b(?:heads up|news flash|flash update|attention|alert|"
    r"breaking news)\b|[^\w\s.,;!?'\"]{1,}(?:important|flash|urgent|alert)\b)"
)
_FRESH = r"\b(?:new|fresh|freshly|newly|latest|updated|just|brand-new|recently|hot|set of|series of|batch of)\b"
_ORDERS_NEWS = r"\b(?:instructions|directives|guidelines|orders|directions|prescriptions|rules|advisories|commands)\b"


@dataclass(frozen=True)
class Rule:
    """A sign of an injection and how much it counts; 1 is enough by itself."""

    name: str
    """What it is a sign of, for the reason given."""
    weight: float
    pattern: str
    where: Literal["anywhere", "read", "asked"] = "anywhere"
    """Whether it is a sign only in what was read (documents, answers of tools), or only in what a user asks."""


RULES = (
    # Orders to leave what was said before
    Rule(
        "an order to ignore instructions",
        1.0,
        rf"\b{_LEAVE}(?:,? (?:and|or) \w+)? (?:\w+ ){{0,2}}?(?:all |any |every(?:thing)? |each )?(?:of )?"
        rf"(?:(?:the|your|my|our|these|those) )?(?:\w+ )?{_OLD}(?:,? (?:and|or|&)? ?\w+)? (?:\w+ )?{_ORDERS}\b",
    ),
    Rule(
        "an order to ignore instructions",
        1.0,
        rf"\b(?:ignore|disregard|forget|override) (?:all |any )?(?:of )?(?:the )?(?:your|all) {_ORDERS}\b",
    ),
    Rule(
        "an order to ignore what was said",
        1.0,
        r"\b(?:ignore|disregard|forget) (?:about )?(?:all|any|every ?thing|anything|what(?:ever)?)(?: of)?(?: that)? "
        r"(?:you(?: have|'ve)?(?: ever)?(?: been)? (?:told|taught|instructed|given|learned|said)|(?:that )?(?:was|is|has been) "
        r"(?:said|written|mentioned|stated)(?: (?:above|before|so far))?|(?:said |written |mentioned )?"
        r"(?:above|before this|so far|up to now|previously|prior))\b",
    ),
    Rule(
        "an order to ignore what was said",
        1.0,
        r"(?:^|[.!?:;\"'>\-*#] ?)(?:please )?(?:now )?(?:ignore|disregard|forget) (?:all )?(?:of )?(?:the above|the (?:previous|foregoing) "
        r"(?:text|message|conversation|context)|every ?thing (?:above|before))(?: (?:and|text|then|instead)\b|[.,:;!])",
    ),
    Rule(
        "an order to ignore instructions",
        1.0,
        rf"\b{_ORDERS} (?:\w+ ){{0,4}}(?:are|is) (?:now |hereby |all )?(?:void|null and void|obsolete|cancell?ed|superseded|overridden|suspended|"
        r"(?:no longer|not) (?:valid|applicable|in effect|in force))\b[^.]{0,40}\b(?:this|only|now|follow|act|obey|instead)\b",
    ),
    Rule(
        "an order that claims to stand above the others",
        1.0,
        r"\b(?:strictly adhere to|(?:act|focus) (?:only|solely|exclusively) on|follow (?:only )?|obey (?:only )?|execute (?:only )?|"
        r"(?:prioriti[sz]e|single out)) ?(?:only )?(?:this|the following|these)(?: (?:new|one|single|sole))? "
        r"(?:instruction|directive|order|command)s?\b",
    ),
    Rule(
        "an order that claims to stand above the others",
        1.0,
        r"\b(?:this|these|the following) (?:new |latest |one )?(?:instruction|directive|command|order|message)s? "
        r"(?:\w+ )?(?:supersedes?|overrides?|replaces?|takes? (?:precedence|priority)|stands? (?:alone|above)|trumps?|outranks?|"
        r"(?:is|are) (?:the )?(?:paramount|supreme|only one|sole))\b",
    ),
    Rule(
        "new instructions announced",
        0.7,
        r"\b(?:new|updated|revised|latest|newest|newly \w+|critical|urgent|vital|momentous|fresh) (?:\w+,? ){0,2}?"
        r"(?:instructions?|directives?|orders|commands?|guidelines?|notice|task) ?(?::|!|(?:has|have) (?:just |now |been |recently )*"
        r"(?:been )?(?:issued|pronounced|announced|arrived|released|declared|added|received|emerged|landed|appeared|surfaced))",
    ),
    Rule(
        "a divider drawn before an order",
        0.4,
        r"[=\-+*/#~_<>|]{8,}(?: ?[=\-+*/#~_<>|]{3,})* ?(?:[a-z',]+ ){0,14}?(?:instruction|directive|order|command|guideline|notice|"
        r"mandate|priority|task|request)s?\b",
    ),
    # A divider or a heading, and then an order or the news of one
    Rule(
        "an order that pushes every other aside",
        1.0,
        rf"{_DIVIDER} ?[^.!?]{{0,90}}{_ALL_OTHERS}[^.!?]{{0,70}}\b(?:this|now|follow|adhere|it)\b|"
        rf"{_DIVIDER} ?[^.!?]{{0,60}}\bthis\b[^.!?]{{0,90}}{_ALL_OTHERS}",
    ),
    Rule(
        "an order that pushes every other aside",
        1.0,
        rf"\b{_ALL_OTHERS} (?:{_ORDERS}|tasks|objectives|agendas|targets|protocols)[^.!?]{{0,50}}\b(?:this|follow|adhere)\b[^.!?]{{0,50}}"
        rf"\b(?:one|alone|only|now|instruction|directive|command|order|precedence|task)\b|"
        rf"\b(?:this|following) (?:instruction|directive|command|order)[^.!?]{{0,60}}\b{_ALL_OTHERS} (?:{_ORDERS}|tasks)",
    ),
    Rule(
        "an order that claims to stand above the others",
        1.0,
        rf"{_DIVIDER} ?(?:(?:treat|consider|make|take|regard|view|see|hold|focus on) this|let this|this (?:is|one is)) (?:\w+ ){{0,3}}?"
        r"(?:as |be )?(?:the |your |an? )?(?:\w+ ){0,2}?(?:key|only|exclusive|solitary|sole|singular|single|new|prime|primary|priority|master|"
        r"overwrite|override|star|compass|supreme|pivot|command|directive|instruction|edict|order|task|agenda|focus|bullseye)\b",
    ),
    Rule(
        "new instructions announced",
        1.0,
        rf"{_HEADING}[^.]{{0,70}}{_FRESH}[^.]{{0,90}}{_ORDERS_NEWS}|{_HEADING}[^.]{{0,50}}{_ORDERS_NEWS}[^.]{{0,60}}"
        r"\b(?:just|freshly|newly|recently)[ -]",
    ),
    Rule(
        "new instructions announced",
        0.6,
        rf"{_FRESH}[^.]{{0,50}}{_ORDERS_NEWS} (?:of [\w ]{{1,30}})?(?:have|has) (?:just|recently|now|freshly) ",
    ),
    # Roles and delimiters
    Rule(
        "a forged chat template",
        1.0,
        r"<\|(?:im_start|im_end|system|user|assistant|endoftext|eot_id|start_header_id|end_header_id|begin_of_text|tool_call)\|>"
        r"[^`]{0,40}(?:system|user|assistant|tool|you|ignore|new)|\[/?inst\] ?(?:<<sys>>|ignore|you|new|now)|<</?sys>>|"
        r"<start_of_turn>(?:user|model|system)",
    ),
    Rule(
        "a forged role",
        1.0,
        r"#{1,3} ?\(?system[_ ]message\)?|\(system_message\)|\[(?:system|admin(?:istrator)?|developer) ?(?:message|note|override|mode|prompt|notice)\b[^\]]{0,20}\]"
        r"|<(?:system|admin|developer)[_ -]?(?:mode|override|message|prompt|instructions?)>",
    ),
    Rule(
        "a forged role",
        0.6,
        r"(?:^|[\n.!?\"'>] ?)(?:<|\[|\{|#{2,} )/?(?:system|assistant|developer)(?:>|\]|\}|:)",
    ),
    Rule(
        "a forged end of the data",
        1.0,
        r"[%=\-#*<\[]{2,} ?(?:end|begin|start)(?: of)?(?: the)? (?:user|system|untrusted|document|data|context|prompt|instructions?|input)"
        r"[\w ]{0,20}[%=\-#*>\]]{2,}[^%=]{0,80}\b(?:repeat|ignore|new|now|follow|you|system)\b",
    ),
    Rule(
        "an instruction block for the model",
        1.0,
        r"<(?:information|important|instructions?|urgent|attention|override)>[\\n\s]{0,12}(?:this is an? |attention|important|ignore|before you|"
        r"you (?:must|should|are|need)|please)|\bthis is an? (?:very )?\\* ?(?:important|urgent) message from (?:me|the user|your (?:user|developer|owner|admin))\b",
    ),
    Rule(
        "an order addressed to the assistant ahead of its task",
        1.0,
        r"\bbefore you (?:can )?(?:solve|complete|do|start|finish|continue|answer|proceed with)[ \\]{1,4}(?:the|this|my|your|any)[ \\]{1,4}(?:original |user'?s? )?"
        r"(?:task|request|question|query)\b[^.]{0,90}\b(?:please|must|first|following)\b",
    ),
    Rule(
        "an order addressed to the assistant",
        1.0,
        r"\b(?:attention|note|message|instructions?|memo|important)(?: to| for)?:? (?:all |any |the )?(?:ai|llm|language model|chatbot|gpt|claude)s?"
        r"(?: (?:assistant|agent|model|system|reader|bot|reviewer)s?)?[:,!] ?(?:please |you |ignore|do |disregard|must|if you|when)",
    ),
    Rule(
        "an embedded task presented as a test of agents",
        1.0,
        r"\b(?:developer[- ]made|developer[- ]side|hidden developer) (?:sandbox|evaluation|test)\b|\bembedded (?:user-crafted|agent) (?:tasks?|execution)\b",
    ),
    # Extraction of the prompt
    Rule(
        "a request for the system prompt",
        1.0,
        rf"\b(?:{_SHOW} (?:me |us |out |back )?(?:with )?(?:all (?:of )?|verbatim )?|what (?:is|are|was|were)(?: in)? )"
        r"(?:your|(?:the|your) (?:full|entire|exact|complete|original|initial|secret|hidden)) (?:(?:full|entire|exact|complete|original|initial|secret|hidden|internal|own) )*"
        r"(?:system (?:prompt|message|instructions?)|(?:prompt|pre-?prompt|instructions)(?: (?:above|verbatim|to me|in|as|word)|[.?!]|$))",
    ),
    Rule(
        "a request for the system prompt",
        1.0,
        rf"\b(?:{_SHOW}|need to see|want to see|encode|translate|summari[sz]e|decode|convert) (?:me |us |out |back )?{_HIDDEN}"
        r"(?: (?:immediately|verbatim|now|to me|word for word|in full|above|exactly|as a|in (?:base64|rot13|code|a code)|for)|[.?!]|$)",
    ),
    Rule(
        "a request for the text above",
        1.0,
        r"\b(?:repeat|print|output|copy|encode|reproduce|recite|write out|rot13 encode|base64 encode|translate|spell(?: out)?) (?:me |back )?(?:(?:all|everything|the|each|every|of|entire|whole|exact|full) ?)+"
        r"(?:text|words?|content|message|lines?|sentences?|instructions?|prompt)? ?(?:that (?:is|was|were|are|appears?|came) |you (?:were|have been) given |written |found )?"
        r"(?:above|initially|at the (?:start|beginning|top)|before this|prior to this)\b",
    ),
    Rule(
        "a request for the system prompt",
        1.0,
        r"\b(?:you(?:r| were| have been)?) (?:initial(?:ly)?|original(?:ly)?|system|first) (?:instructions|prompt|(?:given|told|instructed))\b[^.]{0,30}"
        r"(?:\?|show me|verbatim|word for word|in (?:base64|rot13))",
    ),
    # Jailbreak personas
    Rule(
        "a jailbreak persona",
        1.0,
        r"\bdo anything now\b|\b(?:developer mode|dev mode|god mode|jailbreak mode|dan mode|debug mode|system mode|unrestricted mode|opposite mode)\b[^.]{0,30}"
        r"\b(?:enabled|activated|on|output|unlocked|response)\b|\bjailbroken\b[^.]{0,40}\b(?:you|mode|respond|answer|output)|\[🔓jailbreak\]",
    ),
    Rule(
        "a jailbreak persona",
        1.0,
        r"\b(?:broken|break|breaks|broke|freed?|released|escaped?|liberated) (?:free )?(?:of|from) (?:\w+ ){0,3}?(?:typical|usual|confines|restrictions|rules|"
        r"limitations|shackles|chains|constraints|guidelines|openai)\b[^.]{0,60}\b(?:ai|openai|model|chatgpt|them|it)\b",
    ),
    Rule(
        "a persona without limits",
        0.6,
        r"\b(?:no|without(?: any)?|free (?:of|from)(?: any| all)?|not bound by|unbound by|zero|devoid of|lacks?(?: any)?|removed? (?:all|any)|does(?: not|n't) have any|"
        r"(?:bypass|ignore|disregard)(?:es|s|ing)?(?: all| any| every)?)(?: of)? ?(?:the |its |these |any |all |openai'?s? )?(?:\w+ (?:or|and|,) )?(?:ethical|moral|legal|content|safety|"
        r"openai|censorship|ethics|morals|filters?|restrictions?|limitations?|guidelines)\b",
    ),
    Rule(
        "a persona put on the assistant",
        0.5,
        r"\b(?:you (?:are|will be|'re) (?:now |going to (?:be|act as|pretend|play) |about to (?:immerse|roleplay|enter|be) |from now on )|from now on,? (?:you|chatgpt|act)|"
        r"(?:pretend|act|acting|roleplay|role-play|behave|respond|answer) (?:to be|as(?: if| though)?|like) (?:you(?:'re| are| were)? |an? |my |the )?"
        r"(?:\w+ ){0,4}?(?:ai|chatgpt|chatbot|assistant|machine|bot|model|character|evil|unfiltered|uncensored|amoral|dan)\b|"
        r"you (?:will|are going to|shall|must) (?:now )?(?:act|roleplay|simulate|pretend|take on|immerse|embody)\b)",
    ),
    Rule(
        "an unfiltered model",
        0.6,
        r"\b(?:unfiltered|uncensored|amoral|unethical|unrestricted|immoral|unhinged|evil)(?:,? (?:and )?\w+){0,2} (?:ai|chatbot|language model|assistant|model|bot|version|"
        r"persona|character|response|advice|answer|chatgpt|confidant|trusted)",
    ),
    Rule(
        "an order never to refuse",
        0.6,
        r"\b(?:never|not|cannot|can't|won't|don't|without|must not|unable to) (?:ever |allowed to |permitted to )?(?:refus(?:e|ing)|declin(?:e|ing)|reject(?:ing)?|deny(?:ing)?|"
        r"say(?:ing)? (?:no|\"?i(?: am|'m) sorry|\"?i can(?:'t|not))|break(?:ing)? (?:character|the role)|warn(?:ing)?s?|moraliz(?:e|ing)|apologi[sz](?:e|ing)|includ(?:e|ing) (?:a |any )?"
        r"(?:warning|disclaimer)s?|mention(?:ing)? (?:that )?(?:you are an ai|openai|ethic\w*|moral\w*|legal\w*|illegal\w*))\b",
    ),
    Rule(
        "a break of character policed",
        0.4,
        r"\b(?:stay (?:in character|a dan)|in character|break(?:ing)? character|token system|lose \w+ tokens|\w+ tokens? (?:will be )?deducted|as an ai language model|openai(?:'s)? (?:content )?polic(?:y|ies))\b",
    ),
    Rule(
        "a forced opening of the answer",
        0.5,
        r"\b(?:start|begin) (?:your|the|each|every) (?:response|answer|reply|message|output) (?:with|using|by)\b[^.]{0,60}(?:\"|'|exact|sure|absolutely|<)",
    ),
    Rule(
        "two answers, one of them unbound",
        0.6,
        r"\b(?:two|both|2) (?:separate |different |distinct )?(?:responses|answers|ways|replies|paragraphs|outputs)\b[^.]{0,100}\b(?:normal|standard|gpt|chatgpt|classic|regular|dan|jailbr\w+)\b",
    ),
    # The same orders in other languages
    Rule(
        "an order to ignore instructions",
        1.0,
        r"\b(?:ignor(?:a|e|er|ez|iere|ieren sie|iert|are|ar|o)|olvid(?:a|e|ar)|oublie(?:z|r)?|vergiss|vergessen sie|vergeet|negeer|dimentica(?:re|te)?|esquec?(?:a|e)|desconsidere|missachte|"
        r"zignoruj|unohda|unut|yoksay|abaikan|lupakan|ignorera|glom) (?:\w+ ){0,3}?"
        r"(?:instruc\w+|instruk\w+|anweisung\w*|istruzion\w+|consignes|ordres|ordenes|indicacion\w+|regeln|reglas|regles|regole|regras|instructies|talimat\w*|polecenia|anterior\w*|precedent\w*|vorherig\w+)\b",
    ),
    Rule(
        "an order to ignore instructions",
        1.0,
        r"(?:忽略|无视|忘记|忽视|無視|忘掉)[^。]{0,10}(?:指令|指示|说明|提示|规则|規則|命令)|(?:指示|命令|指令|ルール)を?(?:すべて|全て)?(?:無視|忘れ)",
    ),
    Rule(
        "an order to ignore instructions",
        1.0,
        r"(?:игнорируй|проигнорируй|игнорировать|забудь)(?:те)? [^.]{0,30}(?:инструкц|указан|команд|правил)",
    ),
    Rule(
        "an order to ignore instructions",
        1.0,
        r"(?:이전|위의?|앞의?|모든)[^.]{0,12}(?:지시|명령|지침)[^.]{0,8}(?:무시|잊)|(?:تجاهل|انس)[^.]{0,25}(?:التعليمات|الاوامر|الأوامر)|(?:निर्देश)[^।]{0,20}(?:अनदेखा|भूल)",
    ),
    Rule(
        "an order to ignore instructions",
        1.0,
        r"(?:игнорируй|проигнорируй|забудь)(?:те)? (?:все|всё|выше|то, что|предыдущ)|(?:上記|上の|以前の|これまでの|前の)[^。]{0,12}(?:を無視|を忘れ)|"
        r"(?:위의?|앞의?|이전)[^.]{0,10}(?:무시|잊)|(?:ऊपर|उपरोक्त|पिछले|पिछली)[^।]{0,24}(?:अनदेखा|अनदेखी|भूल|नजरअंदाज)|(?:উপরের|পূর্ববর্তী|আগের)[^।]{0,24}(?:উপেক্ষা|ভুলে)|"
        r"(?:تجاهل|انس)[^.]{0,16}(?:ما سبق|أعلاه|السابق|كل ما)|(?:忽略|无视|忘记|忽视)[^。]{0,6}(?:以上|之前|以前|上面|上述)|(?:ละเว้น|เพิกเฉย|ลืม|ไม่สนใจ)[^.]{0,20}(?:ข้างต้น|ก่อนหน้า|ด้านบน|คำสั่ง)",
    ),
    Rule(
        "an order to ignore instructions",
        1.0,
        r"\b(?:ignora|olvida|olvide|ignore|oublie[zr]?|vergiss|vergessen sie|ignoriere|dimentica|esquec?[ae]|abaikan|lupakan|bo qua|huwag pansinin|kalimutan|balewalain|"
        r"gormezden gel|yok say|unut)\w* (?:todo )?(?:lo anterior|lo de arriba|ci-dessus|ce qui precede|das obige|alles (?:vorherige|davor)|quanto sopra|cio che precede|tutto "
        r"(?:quello|cio)|o acima|tudo acima|yang? di ?atas|yg di ?atas|semua|nhung dieu tren|tat ca|ang (?:nasa )?itaas|lahat)|\byukaridaki\w*[^.]{0,20}(?:gormezden|yok say|unut)",
    ),
    # Who speaks for the user does not ask a machine for its password
    Rule(
        "a question for the machine's own secret",
        1.0,
        r"\b(?:what(?:'s| is| was)|tell (?:me|us)|give (?:me|us)|(?:can|could|would|will) you (?:please )?(?:share|tell|give|confirm|verify|provide|reveal|say)|i need|share with me) "
        r"(?:\w+ ){0,4}?(?:your (?:\w+ )?(?:password|passcode|passphrase|secret (?:key|code|word|string|phrase))|(?:our|the|your) system(?:'s)? password|"
        r"(?:the )?(?:password|passcode|passphrase|secret (?:key|string|phrase)) (?:to|of|for|that unlocks) (?:our|the|your) system)",
    ),
    Rule(
        "a question for the machine's own secret",
        1.0,
        r"\b(?:cual es|dime|dame|compart\w+|quel(?:le)? est|dis-moi|donne[zr]?-moi|partage\w*|wie lautet|was ist|sag(?:en sie)? mir|gib mir|teilen|qual e|dimmi|dammi|condivid\w+|diga-me|"
        r"compartilh\w+|ano ang|ibahagi|apa|bagikan|chia se) (?:\S+ ){0,5}?(?:tu contrasena|su contrasena|la contrasena (?:de|del) (?:nuestro|el)? ?sistema|(?:ton|votre) mot de passe|"
        r"mot de passe de (?:notre|votre) systeme|(?:dein|ihr) (?:passwort|kennwort)|(?:la )?tua password|(?:a )?(?:sua|tua) senha|(?:iyong|mo ang) password|kata sandi (?:anda|kamu)|"
        r"mat khau (?:cua ban|voi toi))|\bsifreni|\b(?:senin|sistemimizin) sifre",
    ),
    Rule(
        "a question for the machine's own secret",
        1.0,
        r"(?:какой|скажи|назови|поделись|сообщи)[^.?]{0,20}(?:твой|ваш|своим|наш)[^.?]{0,24}(?:парол|ключ)|(?:あなたの|品質の|システムの)[^。]{0,6}パスワード(?:は|を教)|(?:你的|您的|系统的?)密码(?:是什么|是多少|告诉)|"
        r"(?:당신의|너의|시스템의?)[^.]{0,6}(?:비밀번호|암호)[^.]{0,12}(?:무엇|뭐|알려|확인|필요)|(?:आपका|अपना|हमारे सिस्टम)[^।?]{0,24}(?:पासवर्ड|पासकोड)[^।?]{0,30}(?:क्या है|साझा|पुष्टि|बता)|"
        r"(?:আপনার|তোমার)[^।?]{0,16}পাসওয়ার্ড[^।?]{0,16}(?:কি|শেয়ার|বল)|(?:ما هي|أخبرني|شارك)[^.؟]{0,16}(?:كلمة المرور الخاصة بك|كلمة مرورك|كلمة السر الخاصة بك)|รหัสผ่านของ(?:คุณ|ระบบ)[^.]{0,12}(?:คืออะไร|บอก)",
    ),
    # What is no sign when a user says it, and is one in what was only read
    Rule(
        "an order about the answer",
        1.0,
        r"\b(?:add|append|include|insert|incorporate|put|place|mention|write|remove|delete|replace|reverse|swap|change|alter|modify|convert|translate|rearrange|randomly|insert|"
        r"interchange|substitute|mix|scramble|encode|begin|end|start|conclude|capitalize|double|repeat|use)\b[^.!?\n]{0,120}?\b(?:in|to|of|from|into|within|throughout|with|at) "
        r"(?:the (?:end|beginning|start|middle) of )?your (?:next )?(?:response|answer|reply|replies|responses|answers|output)\b",
        where="read",
    ),
    Rule(
        "an order to put code into the answer",
        1.0,
        r"\b(?:utili[sz]e|append|meld|incorporate|integrate|insert|include|add|embed|inject|merge|blend|weave|place|use|apply|employ|execute|run|put|ensure|assimilate|infuse|implant|fuse|"
        r"combine|attach|adopt|introduce)\w*\b[^.!?\n]{0,60}?\b(?:following|subsequent|ensuing|below|given|provided|next) code (?:snippet|section|block|excerpt|segment|fragment|portion|piece|chunk|lines?|"
        r"sample|sequence)?\b[^.!?\n]{0,60}?\b(?:your|the code you|solution|codebase)",
        where="read",
    ),
    Rule(
        "an order to fetch something and send it away",
        1.0,
        r"\b(?:retrieve|retrive|fetch|get|find|access|obtain|look up|list|collect|download|search|check|read|gather|extract|export|pull|show|provide|give|use)\b[^.!?\n]{4,160}?\b(?:and|then|,) "
        r"(?:then )?(?:also )?(?:send|e-?mail|forward|share|mail|transmit|transfer|text|post|deliver)\b[^!?\n]{0,90}?[\w.+-]+@[\w-]+\.\w+",
        where="read",
    ),
    Rule(
        "an order in the name of the user",
        1.0,
        r"\bplease (?:\w+ly )?(?:transfer|grant|redirect|initiate|pay|withdraw|deposit|schedule|unlock|lock|disable|enable|delete|erase|remove|turn|change|update|modify|set|add|give|share|send|"
        r"buy|sell|order|book|cancel|arrange|create|make|execute|approve|open|close|export|install|uninstall|clear|reset|deactivate|activate|permit|allow|dispatch|adjust|publish|post)\b"
        r"[^!?\n]{0,80}?(?:\bfrom my\b|\bmy (?:\w+ ){0,3}?(?:account|wallet|shipment|calendar|home|house|door|device|venmo|paypal|bank|card|files?|history|drive|dropbox|garage|patient|appointments?|"
        r"medical|records?|location|system)\b|\bid '?[a-z]*\d+|\b(?:permanent|full|admin(?:istrator)?|remote) access\b)",
        where="read",
    ),
    Rule(
        "a question for the machine's own secret",
        1.0,
        r"\b(?:confirm|verify|reveal|share|disclose|provide|ask for|know|tell (?:me|us)|give (?:me|us)|guess) (?:\w+ )?(?:the|your|our) (?:\w+ )?(?:password|passcode|passphrase|secret (?:key|code|word|string|phrase)|"
        r"access code)\b(?: (?:to|of|for|that) (?:our|your|the) (?:system|account))?[.?!,]|\bwhat (?:would|could|might|will) (?:be )?your (?:password|passcode|secret)\b|"
        r"\b(?:secret (?:code|string|key|phrase)|password)\b[^.?!]{0,40}\b(?:unlocks|grants access to|opens) (?:our|your|the) system\b",
        where="asked",
    ),
)
"""The signs, each counted once a text."""
