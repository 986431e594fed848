"""A plan as files that other tools take: what is deployed, scaled, routed and paid."""
