"""The Omnia Voice room: phone numbers of workspaces, and the agents that answer them."""
