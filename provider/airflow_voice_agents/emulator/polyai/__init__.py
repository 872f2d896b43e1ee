"""The PolyAI Agents API: config pages, telephony, deployments, branches, variants, agents, calls."""
