"""The device: keys, wraps, seals. The only package that imports PKCS#11."""
