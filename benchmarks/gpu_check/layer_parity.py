"""Does the GPU compute what the CPU does? Random layers of each type, and generated nets, as of `batchbrew parity`.

On the CPU alone, it is compared with itself: then all differences are 0.
"""

import io
from typing import Any

from rich.console import Console

from batchbrew.parity import engines
from batchbrew.parity.campaign import Campaign
from batchbrew.parity.compare import Comparison
from batchbrew.parity.drawing import KINDS
from batchbrew.parity.generated_nets import NETS
from batchbrew.parity.table import in_words, print_table, report
from gpu_check.settings import Settings

SEED = 1
LEEWAY = 10.0  # cuDNN may take Winograd's algorithm, or an FFT, whose last digits are others; what is wrong is far off
BROKEN_SHOWN = 20
Found = dict[str, Any]


def run(settings: Settings) -> Found:
    """Real Caffe's place has the engine on the CPU, ours the engine on the GPU."""
    kinds = [kind for kind in KINDS if settings.whole_nets or kind not in NETS]
    device = "again" if settings.gpu is None else "gpu"
    told: list[str] = []

    def tell(comparison: Comparison) -> None:
        told.append(in_words(comparison))

    leeway = 1.0 if settings.gpu is None else LEEWAY
    campaign = Campaign(engines.torch("cpu"), engines.torch(device, settings.gpu), told=tell, leeway=leeway)
    tallies = campaign.rounds(kinds, SEED, settings.configurations)
    found = report(tallies, seed=SEED, configurations=settings.configurations)
    return {**found, "leeway": leeway, "broken_in_words": told}


def faults(found: Found) -> list[str]:
    """Types of which a configuration is beyond its tolerance, or computed on one device alone."""
    broken = {kind: len(of["broken"]) for kind, of in found["types"].items() if of["broken"]}
    if broken:
        return [f"differs from the CPU: {', '.join(f'{kind} ({count})' for kind, count in broken.items())}"]
    compared = sum(of["configurations"] for of in found["types"].values())
    return [] if compared else ["nothing was compared"]


def lines(found: Found) -> list[str]:
    """The worst differences of each type, and what is broken."""
    screen = io.StringIO()
    print_table(found, Console(file=screen, width=110))
    return [*screen.getvalue().rstrip().splitlines(), *found["broken_in_words"][:BROKEN_SHOWN]]
