# What the gateway's token may do with the key of one country.

# Wrap, open and wrap again. Never `create`: with that, wrapping under a key that was deleted would make another.
path "transit/encrypt/domicile-pk" {
  capabilities = ["update"]
}
path "transit/decrypt/domicile-pk" {
  capabilities = ["update"]
}
path "transit/rewrap/domicile-pk" {
  capabilities = ["update"]
}

# See what kind of key it is and which versions it has, each second.
path "transit/keys/domicile-pk" {
  capabilities = ["read"]
}

# `domicile keys rotate`, and an erasure: a new version; the old ones made unusable, then destroyed.
path "transit/keys/domicile-pk/rotate" {
  capabilities = ["update"]
}
path "transit/keys/domicile-pk/config" {
  capabilities      = ["update"]
  allowed_parameters = {
    "min_decryption_version" = []
    "min_encryption_version" = []
  }
}
path "transit/keys/domicile-pk/trim" {
  capabilities = ["update"]
}
