"""Where the public price lists are, and which of each tool's lists are fetched.

- SkyPilot keeps a table for each cloud in a folder of its repository: `{skypilot}/{cloud}/vms.csv`
  (skypilot-org/skypilot, `sky/skylet/constants.py`: HOSTED_CATALOG_DIR_URL).
- gpuhunt publishes a zip for each provider, and last a text that names its version, which begins
  with its day: `{gpuhunt}/{provider}/version`, `{gpuhunt}/{provider}/{version}/catalog.zip`
  (dstackai/gpuhunt, `.github/scripts/publish_catalog.sh`).
- LiteLLM has one JSON file of token prices (BerriAI/litellm).

Tables of brokers, who sell what others rent out, are not fetched.
"""

from __future__ import annotations

from milp_planner.lazily import dataclass

SKYPILOT_CLOUDS = (
    *("aws", "azure", "cudo", "do", "fluidstack", "gcp", "hyperbolic", "hyperstack", "jarvislabs"),
    *("lambda", "mithril", "nebius", "oci", "paperspace", "runpod", "seeweb", "spheron", "vast"),
    *("verda", "yotta"),
)
GPUHUNT_PROVIDERS = (
    *("aws", "azure", "cloudrift", "gcp", "lambdalabs", "nebius", "oci", "runpod", "verda"),
)


@dataclass(frozen=True)
class Addresses:
    """The beginning of each tool's addresses; of LiteLLM the whole."""

    skypilot: str = (
        "https://raw.githubusercontent.com/skypilot-org/skypilot-catalog/master/catalogs/v8"
    )
    gpuhunt: str = "https://dstack-gpu-pricing.s3.eu-west-1.amazonaws.com/v3"
    litellm: str = "https://raw.githubusercontent.com/BerriAI/litellm/main/model_prices_and_context_window.json"
