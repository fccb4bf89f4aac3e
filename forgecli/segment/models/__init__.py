"""The networks by name. `registry.build` makes one; every one is a `network.Network`."""
