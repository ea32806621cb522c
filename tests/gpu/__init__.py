"""The paper preset on a stub of a GPU. Wherever Python runs on it, large tensors of the host are hollow: this
package sees to that before anything of the project is imported.
"""

from tests.gpu import device

if device.PRESENT:
    from tests.gpu import hollow

    hollow.hollow()
