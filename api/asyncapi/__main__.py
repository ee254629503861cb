"""Write the document of the default prefix: ``python -m api.asyncapi docs/asyncapi.json``."""

import json
import sys
from pathlib import Path

from api.asyncapi import asyncapi_document

if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(asyncapi_document(), indent=2) + "\n")
