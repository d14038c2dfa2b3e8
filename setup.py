"""What pyproject.toml cannot say: a built package holds a copy of the stored results. All else is said there."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

RESULTS = Path("book/results")
INSTALLED = "sfbc_core/stored"  # where sfbc_core.experiments.results looks for them
NO_RESULTS = {"faults.jsonl"}  # of the book's page on faults; no chapter reads it


class BuildWithResults(build_py):
    """Build the package, with the results that chapters read."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:  # the package stays in the repository, where the results are
            return
        for source, target in self._results().items():
            self.mkpath(str(Path(target).parent))
            self.copy_file(source, target)

    def get_source_files(self) -> list[str]:
        """What goes into a source distribution: all that a wheel is made of."""
        return [*super().get_source_files(), *self._results()]

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        copies = [] if self.editable_mode else list(self._results().values())
        return [*super().get_outputs(include_bytecode), *copies]

    def _results(self) -> dict[str, str]:
        """Each file -> its copy."""
        files = sorted({*RESULTS.glob("*.jsonl"), *RESULTS.glob("measurements/*.json")})
        if not files:
            raise FileNotFoundError(f"no stored results in {RESULTS.resolve()}: a package without them is not built")
        folder = Path(self.build_lib) / INSTALLED
        return {
            file.as_posix(): (folder / file.relative_to(RESULTS)).as_posix()
            for file in files
            if file.name not in NO_RESULTS
        }


setup(cmdclass={"build_py": BuildWithResults})
