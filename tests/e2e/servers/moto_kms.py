"""moto's server with an UpdateAlias that works: that of 5.1 removes the alias and then misses it. It also destroys keys, which moto's never does:
on SIGUSR1 the days are over that keys wait for their deletion."""

import re
import signal
import sys

from moto.kms.models import KmsBackend, kms_backends
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


def days_pass(*_):
    for regions in list(kms_backends.values()):
        for backend in list(regions.values()):
            for key in [key for key in backend.keys.values() if key.key_state == "PendingDeletion"]:
                backend.delete_key(key.id)


signal.signal(signal.SIGUSR1, days_pass)

if __name__ == "__main__":
    main(sys.argv[1:])
