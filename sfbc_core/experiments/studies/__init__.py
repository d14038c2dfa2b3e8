"""The studies, each behind one chapter: what is trained, at three sizes, and what the chapter shows of it."""
