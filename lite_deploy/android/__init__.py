"""The Android app: what goes into it, how it is built without Gradle, and what its files must be."""
