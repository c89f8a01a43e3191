"""The components as a package for programs in other languages: Pulumi starts this and asks it for its schema and for components."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # where components/ is

from pulumi.provider.experimental import component_provider_host

from plugin.packaged import NAME, PACKAGED, VERSION

if __name__ == "__main__":
    component_provider_host(components=PACKAGED, name=NAME, version=VERSION)
