"""The formats of protocols, a file each; ``registry.PROTOCOL_FORMATS`` names them."""
