"""Files of a model's or an adapter's folder that cannot be loaded, found by their first bytes."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError, safe_open

from harness.errors import ConfigError

POINTER = b"version https://git-lfs.github.com/spec/"
POINTER_SIZE = 1024  # bytes: a pointer is shorter


def check_files(folder: Path, *, key: str) -> None:
    """Refuse pointers of Git LFS, and weights that are cut off or no safetensors.

    Only headers are read. Raises a ConfigError that names the file.
    """
    for file in sorted(path for path in folder.iterdir() if path.is_file()):
        if _is_pointer(file):
            raise ConfigError(
                "is a pointer of Git LFS, not the file itself",
                file=file,
                key=key,
                hint="Fetch the files with `git lfs install && git lfs pull` in their repository.",
            )
        if file.suffix == ".safetensors":
            _check_weights(file, key)


def _is_pointer(file: Path) -> bool:
    if file.stat().st_size > POINTER_SIZE:
        return False
    with file.open("rb") as stream:
        return stream.read(len(POINTER)) == POINTER


def _check_weights(file: Path, key: str) -> None:
    try:
        with safe_open(file, framework="pt"):
            pass
    except (SafetensorError, OSError) as error:
        raise ConfigError(
            f"these weights cannot be read: {error}",
            file=file,
            key=key,
            hint="The file is cut off or damaged: copy or download it again "
            f"({file.stat().st_size:,} bytes are there).",
        ) from error
