"""Azure as a cloud provider. The only package that imports Azure's SDKs; knows no rows."""
