"""Running programs beside a command, as `cyphera up`, the services and the demo do: to start, watch and end them."""
