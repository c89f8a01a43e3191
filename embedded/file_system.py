"""EFS: each file system is a folder that every node can mount. Owns the folder `efs`."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from embedded.cloud import Cloud, CloudError


def _folder(cloud: Cloud, fs_id: str) -> Path:
    return cloud.home / "efs" / fs_id


def _access_points(cloud: Cloud, fs_id: str) -> Path:
    return cloud.home / "efs" / f"{fs_id}.access-points.json"


def _known_access_points(cloud: Cloud, fs_id: str) -> dict[str, str]:
    file = _access_points(cloud, fs_id)
    return json.loads(file.read_text()) if file.exists() else {}


def create_file_system(cloud: Cloud, fs_id: str) -> None:
    """An empty file system; its root belongs to root, as on EFS."""
    cloud.path("efs").chmod(0o700)
    _folder(cloud, fs_id).mkdir(exist_ok=True)
    _folder(cloud, fs_id).chmod(0o755)


def delete_file_system(cloud: Cloud, fs_id: str) -> None:
    """Remove the file system and all it holds; one that is gone is no error."""
    shutil.rmtree(_folder(cloud, fs_id), ignore_errors=True)
    _access_points(cloud, fs_id).unlink(missing_ok=True)


def _inside(root: Path, path: str) -> Path:
    """The folder of an absolute path in the file system; symbolic links and dots cannot lead out of it."""
    target = (root / path.lstrip("/")).resolve()
    if not target.is_relative_to(root.resolve()):
        raise CloudError(f"path {path} leads out of the file system {root.name}")
    return target


def create_access_point(cloud: Cloud, fs_id: str, ap_id: str, *, path: str, uid: int, gid: int, permissions: str) -> None:
    """An entry into a file system; its folder is made with the owner and mode given, one that exists is left as it is.

    Args:
        cloud: the cloud.
        fs_id: file system, `fs-...`.
        ap_id: access point, `fsap-...`.
        path: root directory of the access point.
        uid: owner of the folder when it is made.
        gid: group of the folder when it is made.
        permissions: its mode in octal, e.g. `0750`.

    Raises:
        CloudError: there is no such file system, or the path leads out of it.
    """
    root = _folder(cloud, fs_id)
    if not root.is_dir():
        raise CloudError(f"there is no file system {fs_id}")
    folder = _inside(root, path)
    if not folder.exists():
        folder.mkdir(parents=True)
        folder.chmod(int(permissions, 8))
        os.chown(folder, uid, gid)
    points = _known_access_points(cloud, fs_id) | {ap_id: path}
    _access_points(cloud, fs_id).write_text(json.dumps(points, indent=2))


def delete_access_point(cloud: Cloud, fs_id: str, ap_id: str) -> None:
    """Forget the entry; its folder and files stay, as on EFS."""
    points = {known: path for known, path in _known_access_points(cloud, fs_id).items() if known != ap_id}
    if _folder(cloud, fs_id).is_dir():
        _access_points(cloud, fs_id).write_text(json.dumps(points, indent=2))


def access_point_path(cloud: Cloud, volume_handle: str) -> Path:
    """Folder a CSI volume handle stands for: `FILE_SYSTEM[:PATH[:ACCESS_POINT]]`, as the EFS CSI driver reads it.

    Raises:
        CloudError: the file system, the path or the access point does not exist.
    """
    fs_id, path, ap_id = [*volume_handle.split(":"), "", ""][:3]
    root = _folder(cloud, fs_id)
    if not fs_id.startswith("fs-") or not root.is_dir():
        raise CloudError(f"there is no file system {fs_id!r} (volume handle {volume_handle!r})")
    if ap_id:
        points = _known_access_points(cloud, fs_id)
        if ap_id not in points:
            raise CloudError(f"file system {fs_id} has no access point {ap_id!r}")
        path = f"{points[ap_id]}/{path}"
    folder = _inside(root, path)
    if not folder.is_dir():
        raise CloudError(f"file system {fs_id} has no folder {path!r}")
    return folder
