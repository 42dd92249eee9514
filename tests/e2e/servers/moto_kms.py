"""moto's server with an UpdateAlias that works: that of 5.1 removes the alias and then misses it."""

import re
import sys

from moto.kms.models import KmsBackend
from moto.kms.responses import KmsResponse
from moto.server import main


def update_alias(self):
    backend, name, target = self.kms_backend, self._get_param("AliasName"), self._get_param("TargetKeyId")
    assert re.fullmatch(r"alias/[a-zA-Z0-9/_-]+", name)
    self._validate_cmk_id(target)
    self._validate_alias(name)
    KmsBackend.update_alias(backend, target, name)
    return "null"


KmsResponse.update_alias = update_alias

if __name__ == "__main__":
    main(sys.argv[1:])
