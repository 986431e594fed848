"""What a request costs at an API that serves the same LLM, beside what it costs on a GPU."""

from __future__ import annotations

from milp_planner.candidates.prices import api_usd_per_request
from milp_planner.errors import InputError, did_you_mean, input_error
from milp_planner.inputs.catalog.records import Catalog, Llm, TokenPrice
from milp_planner.inputs.problem.deployment import DEFAULT_DEPLOYMENT, DeploymentSettings
from milp_planner.questions.deployments.records import Estimate


def estimate_api(
    llm: Llm,
    price: TokenPrice,
    input_tokens: float,
    output_tokens: float,
    settings: DeploymentSettings = DEFAULT_DEPLOYMENT,
) -> Estimate:
    """One request at a price per token; of its memory and its speed nothing is known.

    The share of the input that the prefix cache holds costs what cached tokens cost there.
    """
    cached = settings.prefix_cache_share
    return Estimate(
        llm=llm.id,
        gpu="",
        precision="provider",
        tensor_parallel=0,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        concurrency=None,
        verdict="per token",
        reason="",
        weights_gib=None,
        kv_gib=None,
        reserve_gib=None,
        usable_gib=None,
        sequences=0,
        deployment=f"API, {cached:.0%} of the input cached" if cached else "API",
        source="list price",
        source_detail=f"{price.source}, {price.as_of.isoformat()}",
        token_price=price,
        api_usd_per_request=api_usd_per_request(price, input_tokens, output_tokens, cached),
    )


def token_price_at(catalog: Catalog, llm: Llm, provider: str) -> TokenPrice | None:
    """What the provider asks for the LLM per token, the cheapest of its regions; None where it
    sells none."""
    provider = catalog.sellers.name(provider)
    found = [p for p in catalog.token_prices if (p.provider, p.llm) == (provider, llm.id)]
    return min(found, key=lambda p: (_usd_of_a_token_each(p), p.id), default=None)


def token_price_of(catalog: Catalog, llm: Llm, provider: str | None) -> TokenPrice:
    """The same for a deployment without a GPU, which an API has to serve.

    Raises InputError where no provider is named, or where it does not sell the LLM per token.
    """
    if provider is None:
        raise input_error("required, or a provider whose API serves the LLM", path="gpu")
    if catalog.sellers.name(provider) not in catalog.providers:
        raise unknown_provider(catalog, provider)
    found = token_price_at(catalog, llm, provider)
    if found is None:
        raise input_error(f"{provider} has no price per token of {llm.id}", path="provider")
    return found


def unknown_provider(catalog: Catalog, name: str) -> InputError:
    """That nobody of that name rents or sells here, with the nearest name."""
    near = did_you_mean(name, catalog.providers)
    return input_error(f"no provider {name!r}{near}", path="provider")


def _usd_of_a_token_each(price: TokenPrice) -> float:
    return price.usd_per_m_input_tokens + price.usd_per_m_output_tokens
