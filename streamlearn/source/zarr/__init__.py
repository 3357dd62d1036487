"""zarr stores, read without zarr where their format is a plain one."""
