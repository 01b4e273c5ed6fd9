"""What an attempt imports, and builds once in a process, only when it gets there: imported for that effect by a nursery."""

import numpy.random  # noqa: F401
import psycopg  # noqa: F401
import sqlalchemy.dialects.postgresql.psycopg
import sqlalchemy.dialects.sqlite.pysqlite  # noqa: F401
import transformers.models.llama.modeling_llama
import transformers.models.mistral.modeling_mistral
import transformers.models.qwen2.modeling_qwen2
import transformers.models.qwen3.modeling_qwen3  # noqa: F401
from transformers.conversion_mapping import get_checkpoint_conversion_mapping

# The first call compiles a thousand regular expressions, for all architectures.
get_checkpoint_conversion_mapping("qwen3")
