"""The batch job: files in, one row per input out."""
