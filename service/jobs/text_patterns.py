"""The patterns of the contract's texts, and in words what each allows, for refusals."""

from collections.abc import Mapping

# No part of a path begins with a dot, so none is `..` and none is hidden; file systems take 255 bytes.
_PATH_PART = r"[A-Za-z0-9_][A-Za-z0-9_.=+@\-]{0,179}"

ONE_LINE = r"^[^\x00-\x1f\x7f]+$"
ONE_LINE_OR_NOTHING = r"^[^\x00-\x1f\x7f]*$"
NO_NUL = r"^[^\x00]*$"  # PostgreSQL keeps none

LABEL_KEY = r"^[a-z0-9]([a-z0-9_.\-/]{0,61}[a-z0-9])?$"
SECRET_NAME = r"^[A-Z][A-Z0-9_]{0,62}$"
REVISION = r"^[A-Za-z0-9._\-/]+$"
JOB_REFERENCE = r"^[A-Za-z0-9\-]+$"
LAYER_NAME = r"^[A-Za-z_][A-Za-z0-9_]{0,63}$"
BENCHMARK_NAME = r"^[a-z0-9][a-z0-9_\-]{0,63}$"
ARM_NAME = r"^[a-z0-9][a-z0-9_\-]{0,62}$"
STUDY_METRIC = r"^(pass@[1-9][0-9]{0,3}|reverse_kl)$"
DATASET_ID = r"^ds-[0-9a-f]{32}$"
CHECKPOINT_STEP = r"^([0-9]{1,7}|final|latest)$"

EXPORT_PATH = rf"^{_PATH_PART}(/{_PATH_PART}){{0,15}}$"
STORE_URL = (
    r"^(s3|gs|az|abfs)://[a-z0-9][a-z0-9._\-]{1,221}"
    rf"(@[a-z0-9]{{3,24}}\.dfs\.core\.windows\.net)?(/{_PATH_PART}){{1,32}}/?$"
)
STORE_ENDPOINT = r"^https?://[A-Za-z0-9.\-]{1,253}(:[0-9]{1,5})?$"
STORE_REGION = r"^[a-z0-9\-]{1,40}$"
STORE_ACCOUNT = r"^[a-z0-9]{3,24}$"
HUB_REPOSITORY = r"^[A-Za-z0-9][A-Za-z0-9._\-]{0,95}/[A-Za-z0-9][A-Za-z0-9._\-]{0,95}$"
HUB_BRANCH = r"^[A-Za-z0-9][A-Za-z0-9._\-/]*$"

# No user name, no query, no fragment and no part that is `..`: an allowed host stays the host that is asked.
TEACHER_ENDPOINT = (
    r"^https?://(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9]([A-Za-z0-9.\-]{0,200}[A-Za-z0-9])?)"
    r"(:[0-9]{1,5})?(/[A-Za-z0-9][A-Za-z0-9._\-]{0,63}){0,6}/v1/?$"
)
# The characters of RFC 3986 but "#": a fragment is never sent.
WEBHOOK_URL = r"^[Hh][Tt][Tt][Pp][Ss]?://[A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=%]+$"

# gRPC's trailers hold little: no more than 120 bytes of each are sent.
IN_WORDS: Mapping[str, str] = {
    ONE_LINE: "one line without control characters",
    ONE_LINE_OR_NOTHING: "one line without control characters",
    NO_NUL: "a text without the character NUL",
    LABEL_KEY: "1 to 63 of a-z, 0-9, `_`, `.`, `-` and `/`, a letter or digit at both ends",
    SECRET_NAME: "the name of a secret, not the secret: 1 to 63 of A-Z, 0-9 and `_`, a letter first",
    REVISION: "a branch, tag or commit: letters, digits, `.`, `_`, `-` and `/`",
    JOB_REFERENCE: "the id of a job: letters, digits and `-`",
    LAYER_NAME: "the name of a layer: 1 to 64 letters, digits and `_`, no digit first",
    BENCHMARK_NAME: "1 to 64 of a-z, 0-9, `_` and `-`, a letter or digit first",
    ARM_NAME: "1 to 63 of a-z, 0-9, `_` and `-`, a letter or digit first",
    STUDY_METRIC: "pass@K, such as pass@8, or reverse_kl",
    DATASET_ID: "the id of an uploaded set: `ds-` and 32 of 0-9 and a-f",
    CHECKPOINT_STEP: "a number of at most 7 digits, final or latest",
    EXPORT_PATH: "a path of at most 16 parts with `/` between them, none of which begins with a dot or a dash",
    STORE_URL: "s3://, gs://, az:// or abfs://, a bucket or container, and a path; no part begins with a dot",
    STORE_ENDPOINT: "http:// or https://, a host, and a port or none; no path and no user name",
    STORE_REGION: "1 to 40 of a-z, 0-9 and `-`",
    STORE_ACCOUNT: "3 to 24 of a-z and 0-9",
    HUB_REPOSITORY: "OWNER/NAME, each of letters, digits, `.`, `_` and `-`, a letter or digit first",
    HUB_BRANCH: "letters, digits, `.`, `_`, `-` and `/`, a letter or digit first",
    TEACHER_ENDPOINT: "http:// or https://, a host, and a path that ends in /v1; no user name, query or fragment",
    WEBHOOK_URL: "http:// or https:// and an address in ASCII without blanks and `#`",
}
