"""Everything that speaks to Azure. The only package that imports Azure's SDKs; knows no rows."""
