"""In which precision networks learn, and what they learned is looked at: bfloat16 on a GPU, float32 on a CPU.

On a CPU, gradients of bfloat16 convolutions hold memory that nobody set where oneDNN takes its AVX512-BF16 kernels: on
an AMD EPYC, with torch 2.13, one training in six ended in nan within twelve steps
(tests/unit/lnc_dicom/test_precision.py).
"""

from __future__ import annotations

import torch


def learning_precision(device: str) -> torch.autocast:
    """Give the context in which a network on a device is asked while it learns."""
    kind = torch.device(device).type
    return torch.autocast(kind, torch.bfloat16, enabled=kind != "cpu")
