"""What keys, tokens and passwords look like: by their prefix and length, as data; the patterns are RE2's."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SecretRule:
    """The form of one kind of secret."""

    label: str
    """What stands in its place, and what it is called."""
    hints: tuple[str, ...]
    """Texts of which one stands in every such secret, so that most texts need no further look."""
    pattern: str
    """The secret, as its first group where it has one."""


SECRET_RULES = (
    SecretRule(
        "PRIVATE_KEY", ("PRIVATE KEY",), r"-----BEGIN[ A-Z0-9]{0,40}PRIVATE KEY(?: BLOCK)?-----[A-Za-z0-9+/=\s\\:,.\-]*"
    ),
    SecretRule("AWS_KEY", ("AKIA", "ASIA", "ABIA", "ACCA"), r"\b((?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16})\b"),
    SecretRule("GITHUB_TOKEN", ("ghp_", "gho_", "ghu_", "ghs_", "ghr_"), r"\b(gh[pousr]_[A-Za-z0-9]{36,251})\b"),
    SecretRule("GITHUB_TOKEN", ("github_pat_",), r"\b(github_pat_[A-Za-z0-9_]{60,100})\b"),
    SecretRule(
        "GITLAB_TOKEN",
        ("glpat-", "gldt-", "glrt-", "glptt-", "glft-", "glsoat-", "glcbt-", "glagent-", "glimt-", "gloas-", "glffct-"),
        r"\b(gl(?:pat|dt|rt|ptt|ft|soat|cbt|agent|imt|oas|ffct)-[A-Za-z0-9_.\-]{20,64})",
    ),
    SecretRule("OPENAI_KEY", ("T3BlbkFJ",), r"\b(sk-[A-Za-z0-9_\-]{16,160}T3BlbkFJ[A-Za-z0-9_\-]{16,160})"),
    SecretRule(
        "OPENAI_KEY", ("sk-proj-", "sk-svcacct-", "sk-admin-"), r"\b(sk-(?:proj|svcacct|admin)-[A-Za-z0-9_\-]{32,200})"
    ),
    SecretRule("ANTHROPIC_KEY", ("sk-ant-",), r"\b(sk-ant-[a-z]{3,8}[0-9]{2}-[A-Za-z0-9_\-]{60,120})"),
    SecretRule("GOOGLE_KEY", ("AIza",), r"\b(AIza[A-Za-z0-9_\-]{35})\b"),
    SecretRule("GOOGLE_TOKEN", ("ya29.", "GOCSPX-"), r"\b(ya29\.[A-Za-z0-9_\-]{40,300}|GOCSPX-[A-Za-z0-9_\-]{28})"),
    SecretRule(
        "SLACK_TOKEN",
        ("xox", "xapp-"),
        r"\b(xox[abeoprs]-(?:\d+-)?[A-Za-z0-9\-]{10,250}|xapp-\d-[A-Z0-9]+-\d+-[a-f0-9]{20,})",
    ),
    SecretRule(
        "SLACK_WEBHOOK",
        ("hooks.slack.com",),
        r"hooks\.slack\.com/(?:services|workflows|triggers)/([A-Za-z0-9+/]{40,60})",
    ),
    SecretRule(
        "DISCORD_WEBHOOK", ("/api/webhooks/",), r"discord(?:app)?\.com/api/webhooks/\d{17,20}/([A-Za-z0-9_\-]{60,80})"
    ),
    SecretRule(
        "STRIPE_KEY",
        ("k_live_", "k_test_", "whsec_"),
        r"\b([sr]k_(?:live|test)_[A-Za-z0-9]{10,110}|whsec_[A-Za-z0-9+/=]{32,64})",
    ),
    SecretRule("SQUARE_TOKEN", ("EAAA", "sq0"), r"\b(EAAA[A-Za-z0-9_\-]{56,64}|sq0(?:atp|csp)-[A-Za-z0-9_\-]{22,60})"),
    SecretRule("SENDGRID_KEY", ("SG.",), r"\b(SG\.[A-Za-z0-9_\-]{20,24}\.[A-Za-z0-9_\-]{39,50})\b"),
    SecretRule("MAILGUN_KEY", ("key-",), r"\b(key-[a-f0-9]{32})\b"),
    SecretRule("MAILCHIMP_KEY", ("-us",), r"\b([a-f0-9]{32}-us\d{1,2})\b"),
    SecretRule("TWILIO_KEY", ("SK",), r"\b(SK[a-f0-9]{32})\b"),
    SecretRule("NPM_TOKEN", ("npm_",), r"\b(npm_[A-Za-z0-9]{36})\b"),
    SecretRule("PYPI_TOKEN", ("pypi-AgE",), r"\b(pypi-AgE[A-Za-z0-9_\-]{50,1000})"),
    SecretRule("RUBYGEMS_KEY", ("rubygems_",), r"\b(rubygems_[a-f0-9]{48})\b"),
    SecretRule("HUGGINGFACE_TOKEN", ("hf_", "api_org_"), r"\b(hf_[A-Za-z]{34}|api_org_[A-Za-z]{34})\b"),
    SecretRule("SHOPIFY_TOKEN", ("shp",), r"\b(shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32})\b"),
    SecretRule("DIGITALOCEAN_TOKEN", ("_v1_",), r"\b(do[opr]_v1_[a-f0-9]{64})\b"),
    SecretRule("DATABRICKS_TOKEN", ("dapi",), r"\b(dapi[a-f0-9]{32}(?:-\d)?)\b"),
    SecretRule("DOPPLER_TOKEN", ("dp.",), r"\b(dp\.(?:pt|st|ct|sa|scim|audit)\.[A-Za-z0-9._\-]{40,60})"),
    SecretRule("VAULT_TOKEN", ("hvs.", "hvb.", "hvr."), r"\b(hv[sbr]\.[A-Za-z0-9_\-]{24,300})"),
    SecretRule("TERRAFORM_TOKEN", (".atlasv1.",), r"\b([A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=\-]{60,70})"),
    SecretRule(
        "ATLASSIAN_TOKEN", ("ATATT3", "ATCTT3", "ATBB"), r"\b(AT[AC]TT3[A-Za-z0-9_=\-]{60,250}|ATBB[A-Za-z0-9]{32})"
    ),
    SecretRule("LINEAR_KEY", ("lin_",), r"\b(lin_(?:api|oauth)_[A-Za-z0-9]{32,64})\b"),
    SecretRule("NOTION_TOKEN", ("ntn_", "secret_"), r"\b(ntn_\d{11}[A-Za-z0-9]{32,40}|secret_[A-Za-z0-9]{43})\b"),
    SecretRule("POSTMAN_KEY", ("PMAK-",), r"\b(PMAK-[a-f0-9]{24}-[a-f0-9]{34})\b"),
    SecretRule("NEW_RELIC_KEY", ("NRAK-", "NRJS-", "NRII-"), r"\b(NR(?:AK|JS|II)-[A-Za-z0-9_\-]{19,32})\b"),
    SecretRule(
        "GRAFANA_TOKEN", ("glc_", "glsa_"), r"\b(glc_[A-Za-z0-9+/]{32,400}={0,2}|glsa_[A-Za-z0-9]{32}_[a-fA-F0-9]{8})"
    ),
    SecretRule("FIGMA_TOKEN", ("figd_",), r"\b(figd_[A-Za-z0-9_\-]{38,50})"),
    SecretRule("AIRTABLE_TOKEN", ("pat",), r"\b(pat[A-Za-z0-9]{14}\.[a-f0-9]{64})\b"),
    SecretRule("SENTRY_TOKEN", ("sntry",), r"\b(sntrys_[A-Za-z0-9+/=_]{60,300}|sntryu_[a-f0-9]{64})"),
    SecretRule("SUPABASE_KEY", ("sbp_", "sb_secret_"), r"\b(sbp_[a-f0-9]{40}|sb_secret_[A-Za-z0-9_\-]{31})"),
    SecretRule("GROQ_KEY", ("gsk_",), r"\b(gsk_[A-Za-z0-9]{48,56})\b"),
    SecretRule("REPLICATE_TOKEN", ("r8_",), r"\b(r8_[A-Za-z0-9]{37})\b"),
    SecretRule("PERPLEXITY_KEY", ("pplx-",), r"\b(pplx-[A-Za-z0-9]{40,56})\b"),
    SecretRule("XAI_KEY", ("xai-",), r"\b(xai-[A-Za-z0-9]{70,90})\b"),
    SecretRule("LANGSMITH_KEY", ("lsv2_",), r"\b(lsv2_(?:pt|sk)_[a-f0-9]{32}_[a-f0-9]{10})\b"),
    SecretRule("AGE_KEY", ("AGE-SECRET-KEY-1",), r"\b(AGE-SECRET-KEY-1[A-Z0-9]{58})\b"),
    SecretRule("TELEGRAM_TOKEN", (":A",), r"\b(\d{8,10}:A[A-Za-z0-9_\-]{34})\b"),
    SecretRule("DISCORD_TOKEN", (".",), r"\b([MNO][A-Za-z0-9_\-]{23,27}\.[A-Za-z0-9_\-]{6}\.[A-Za-z0-9_\-]{27,40})\b"),
    SecretRule("JWT", ("eyJ",), r"\b(eyJ[A-Za-z0-9_\-]{10,}\.eyJ[A-Za-z0-9_\-]{10,}\.[A-Za-z0-9_\-]{20,})"),
    SecretRule(
        "AZURE_KEY",
        ("AccountKey=", "SharedAccessKey=", "sig="),
        r"(?:AccountKey|SharedAccessKey)=([A-Za-z0-9+/]{42,90}={0,2})|[?&]sig=([A-Za-z0-9%]{43,63}(?:%3D|=))",
    ),
    SecretRule("AZURE_SECRET", ("8Q~", "7Q~"), r"\b([A-Za-z0-9_~.\-]{3}[78]Q~[A-Za-z0-9_~.\-]{31,34})"),
    SecretRule(
        "FLY_TOKEN", ("fo1_", "fm1", "fm2_"), r"\b(fo1_[A-Za-z0-9_\-]{43}|fm[12][ar]?_[A-Za-z0-9+/]{100,}={0,3})"
    ),
    SecretRule(
        "LOGIN",
        ("://",),
        r"[a-z][a-z0-9+.\-]{1,30}://[^\s/:@'\"<>{}$]{1,80}:([^\s/@'\"<>{}$\[\]*]{3,120})@[A-Za-z0-9.\-\[\]]+",
    ),
    SecretRule(
        "AUTHORIZATION",
        ("earer ", "asic "),
        r"(?i)authorization[\"']?\s*[:=]\s*[\"']?(?:bearer|basic|token)\s+([A-Za-z0-9._~+/\-]{16,900}=*)",
    ),
)
"""Forms that say by themselves what they are."""

NAMED = (
    r"(?i)(?:[a-z0-9_.\-]{0,40}(?:api[_.\- ]?key|secret|token|passw(?:or)?d|passwd|pwd|passphrase|credentials?|"
    r"(?:auth|private|access|encryption|signing|account)[_.\- ]?key|client[_.\- ]?secret))"
    r"[a-z0-9_.\-]{0,20}[\"'`\])]{0,3}\s{0,4}(?:=>|:=|=|:|\bis\b|,)\s{0,4}(?:[a-z]{0,2}[\"'`])?"
    r"([^\s\"'`,;<>(){}\[\]]{8,200})"
)
"""A value behind a name that says that it is secret."""

PLACEHOLDERS = (
    r"(?i)^(?:.*(?:example|your|placeholder|change[_\-]?me|replace|insert|redact|dummy|sample|xxxx|\*\*\*|\.\.\.|"
    r"0000|1234567|abcdef|"
    r"todo|none|null|true|false|undefined|environ|getenv|config|process\.env|secrets?\.|vault|param|self\.|request\.|token|passw|secret|_key|key_).*"
    r"|\$.*|%.*%|\{.*|[a-z_.\-]+|[A-Z_]+|\d{1,12}|[a-z]+[A-Z][A-Za-z]*|https?:.*|/.*)$"
)
"""Values that only stand for a secret: words, paths, variables, what is said to be an example."""
