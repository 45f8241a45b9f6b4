"""pack.py FOLDER ZIP: packs a layer, the same bytes from the same files."""

import pathlib
import sys
import zipfile

folder, target = map(pathlib.Path, sys.argv[1:])
with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        entry = zipfile.ZipInfo(file.relative_to(folder).as_posix())
        entry.compress_type = zipfile.ZIP_DEFLATED
        entry.external_attr = file.stat().st_mode << 16
        archive.writestr(entry, file.read_bytes())
