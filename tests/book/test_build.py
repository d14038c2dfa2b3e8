"""The builder refuses what it cannot build, reports what failed, and runs again only what has changed."""

import importlib
import json
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module", autouse=True)
def scripts():
    """The scripts in book/ import each other by name, as they do when they are run."""
    sys.path.insert(0, str(ROOT / "book"))
    yield
    sys.path.remove(str(ROOT / "book"))


@pytest.fixture(scope="module")
def build():
    return importlib.import_module("build")


@pytest.fixture(scope="module")
def check_html():
    return importlib.import_module("check_html")


KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}


def write_chapter(folder, name, *code, parameters='profile = "quick"', tags=("parameters",), metadata=KERNEL):
    cells = [
        new_markdown_cell(f"# {name}"),
        new_code_cell(parameters, metadata={"tags": list(tags)}),
        *(new_code_cell(source) for source in code),
    ]
    (folder / "notebooks").mkdir(exist_ok=True)
    nbformat.write(new_notebook(cells=cells, metadata=metadata), folder / "notebooks" / f"{name}.ipynb")


def write_toc(folder, *names):
    chapters = "".join(f"  - file: notebooks/{name}\n" for name in names)
    (folder / "_toc.yml").write_text(f"format: jb-book\nroot: intro\nchapters:\n{chapters}")
    (folder / "intro.md").write_text("# A book\n")


@pytest.fixture
def project(tmp_path):
    """A project with one chapter, which writes down its profile, and would import one of two modules if it were `full`."""
    write_toc(tmp_path, "01_one")
    write_chapter(tmp_path, "01_one", 'if profile == "full":\n    import package.used', 'print("profile is", profile)')
    (tmp_path / "package").mkdir()
    for name in ("__init__", "used", "other"):
        (tmp_path / "package" / f"{name}.py").write_text("x = 1\n")
    return tmp_path


def run(build, project, profile="smoke", **options):
    build.build_book(project, profile, jobs=1, html=False, **options)


def staged(project, name="01_one"):
    return nbformat.read(project / "_build" / "stage" / "notebooks" / f"{name}.ipynb", as_version=4)


def printed(project, name="01_one"):
    return "".join(output.text for cell in staged(project, name).cells for output in cell.get("outputs", []))


# ---- what is refused ------------------------------------------------------------------------------------------------


def test_refuses_an_unknown_profile(build, project):
    with pytest.raises(build.BookError, match="expected one of smoke, quick, full"):
        run(build, project, profile="fast")


def test_refuses_a_page_that_does_not_exist(build, project):
    write_toc(project, "01_one", "02_two")
    with pytest.raises(build.BookError, match=r"neither notebooks/02_two\.ipynb nor"):
        run(build, project)


@pytest.mark.parametrize(
    ("chapter", "message"),
    [
        ({"tags": ()}, "no cell has the tag 'parameters'"),
        ({"parameters": "seed = 0"}, "does not set 'profile'"),
        ({"metadata": {}}, "01_one.ipynb: No kernel name found"),
    ],
)
def test_refuses_a_chapter_without_the_profile_parameter(build, project, chapter, message):
    write_chapter(project, "01_one", **chapter)
    with pytest.raises(build.BookError, match=message):
        run(build, project)


def test_refuses_a_choice_of_no_chapter(build, project):
    with pytest.raises(build.BookError, match=r"no chapter starts with '09': there are 01_one"):
        run(build, project, only="09")


# ---- execution ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_executes_with_the_profile_and_tidies_up(build, project, capsys):
    run(build, project)
    notebook = staged(project)
    assert notebook.cells[-1].outputs[0].text == "profile is smoke\n"
    injected = [cell for cell in notebook.cells if "injected-parameters" in cell.metadata.tags]
    assert len(injected) == 1 and "hide-cell" in injected[0].metadata.tags
    assert "papermill" not in notebook.metadata
    assert all("papermill" not in cell.metadata for cell in notebook.cells)
    timings = json.loads((project / "_build" / "stage" / "timings.json").read_text())
    assert timings["smoke"]["notebooks/01_one"] > 0
    assert "notebooks/01_one" in capsys.readouterr().out


@pytest.mark.slow
def test_the_pictures_are_the_same_whatever_matplotlib_finds_in_the_users_folders(
    build, project, monkeypatch, tmp_path
):
    """A style of the user's own, and a list of fonts that lacks those which mathematics needs."""
    folder = tmp_path / "users"
    folder.mkdir()
    (folder / "matplotlibrc").write_text("axes.facecolor: red\n")
    from matplotlib.font_manager import FontManager

    empty = {"_version": FontManager.__version__, "__class__": "FontManager", "ttflist": [], "afmlist": []}
    (folder / f"fontlist-v{FontManager.__version__}.json").write_text(json.dumps(empty))
    monkeypatch.setenv("MPLCONFIGDIR", str(folder))
    ask = "print(fonts.mpl.rcParams['axes.facecolor'], len(fonts.fontManager.ttflist))"
    write_chapter(project, "01_one", "import matplotlib.font_manager as fonts", ask)
    run(build, project)
    color, count = printed(project).split()
    assert color == "white" and int(count) > 20


def test_a_failed_chapter_is_reported_and_the_others_are_kept(build, project, capsys):
    write_toc(project, "01_one", "02_two")
    write_chapter(project, "02_two", "fine = 1", 'raise KeyError("the dog ate it")')
    with pytest.raises(build.BookError, match="those that could are kept"):
        run(build, project)
    report = capsys.readouterr().err
    assert "notebooks/02_two failed in the cell with execution count 4" in report  # the injected cell counts
    assert 'raise KeyError("the dog ate it")' in report
    assert "Traceback" in report and "\x1b" not in report
    assert staged(project).cells[-1].outputs
    assert not (project / "_build" / "stage" / "notebooks" / "02_two.ipynb").exists()


@pytest.mark.slow
def test_only_what_has_changed_is_run_again(build, project, monkeypatch):
    run(build, project)

    def executed_again(**options):
        """Whether the builder starts the chapter; it is not really run."""
        started = []
        monkeypatch.setattr(
            build, "execute", lambda chapter, timeout: started.append(chapter.name) or build.Result(chapter.name, 1.0)
        )
        monkeypatch.setattr(build, "ProcessPoolExecutor", InThisProcess)
        run(build, project, **options)
        return started == ["notebooks/01_one"]

    assert not executed_again()
    assert executed_again(profile="quick")

    (project / "package" / "used.py").write_text("x = 2\n")
    assert executed_again()
    (project / "package" / "used.py").write_text("x = 1\n")
    (project / "package" / "other.py").write_text("x = 2\n")
    assert not executed_again()

    write_chapter(project, "01_one", "print(1)")
    assert executed_again()


class InThisProcess:
    """Stands in for the pool of processes, in which a monkeypatch would have no effect."""

    def __init__(self, jobs, **options):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        pass

    def submit(self, function, *arguments):
        from concurrent.futures import Future

        future = Future()
        future.set_result(function(*arguments))
        return future


def test_the_longest_chapter_starts_first(build, project, monkeypatch):
    names = ["01_one", "02_two", "03_three"]
    write_toc(project, *names)
    for name in names[1:]:
        write_chapter(project, name)
    started = []
    monkeypatch.setattr(
        build, "execute", lambda chapter, timeout: started.append(chapter.name[-1]) or build.Result(chapter.name, 1.0)
    )
    monkeypatch.setattr(build, "ProcessPoolExecutor", InThisProcess)
    chapters = build.find_chapters(project, project / "_build" / "stage", "smoke")

    results = build.execute_all(chapters, 1, 60, {}, {})
    assert started == ["e", "o", "e"]  # three, two, one: nothing is known yet
    assert [result.name for result in results] == [f"notebooks/{name}" for name in names]

    started.clear()
    build.execute_all(
        chapters, 1, 60, {"notebooks/01_one": 3.0, "notebooks/02_two": 9.0, "notebooks/03_three": 1.0}, {}
    )
    assert started == ["o", "e", "e"]


# ---- the finished pages ---------------------------------------------------------------------------------------------


@pytest.fixture
def html(tmp_path):
    """A built book of two pages with nothing wrong."""
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: index\nchapters:\n  - file: second\n")
    (tmp_path / "picture.png").write_bytes(b"")
    (tmp_path / "index.html").write_text(
        '<link rel="stylesheet" href="style.css"><h1 id="top">One</h1><a href="second.html#part">two</a>'
        '<a href="#top">up</a> <a href="https://example.org/">elsewhere</a> <a href="mailto:a@example.org">mail</a>'
        '<img src="picture.png" alt="Two peaks"><img src="picture.png" alt="" role="presentation">'
        '<img src="data:image/png;base64,AAAA" alt="inline"><script>const url = "https://example.org/";</script>'
    )
    (tmp_path / "second.html").write_text('<h1 id="part">Two</h1><a href="index.html">back</a>')
    (tmp_path / "style.css").write_text("h1 { background: url(picture.png) } /* taken from https://example.org */")
    return tmp_path


def problems(check_html, html):
    found, _ = check_html.check_book(html, html / "_toc.yml")
    return [(problem.page, problem.kind) for problem in found]


def test_a_sound_book_has_no_problems(check_html, html):
    assert check_html.check_book(html, html / "_toc.yml") == ([], 2)


@pytest.mark.parametrize(
    ("element", "kind"),
    [
        ('<a href="third.html">three</a>', "missing file"),
        ('<a href="second.html#nowhere">two</a>', "missing anchor"),
        ('<a href="#nowhere">here</a>', "missing anchor"),
        ('<img src="missing.png" alt="Gone">', "missing file"),
        ('<img src="picture.png">', "image without alt text"),
        ('<img src="picture.png" alt=" ">', "image without alt text"),
        ('<img src="picture.png" alt="picture.png">', "image without alt text"),
        ('<img src="picture.png" alt="../_images/0a1b.png">', "image without alt text"),
        ('<script src="https://cdn.example.org/x.js"></script>', "loaded from another server"),
        ('<script src="//cdn.example.org/x.js"></script>', "loaded from another server"),
        ('<script type="module">import x from "https://cdn.example.org/x.js"</script>', "loaded from another server"),
        ('<script type="module">await import("https://cdn.example.org/x.js")</script>', "loaded from another server"),
        ('<link rel="preload" href="https://cdn.example.org/font.woff2">', "loaded from another server"),
        ('<img src="https://cdn.example.org/x.png" alt="Far away">', "loaded from another server"),
        ('<img src="picture.png" srcset="https://cdn.example.org/x.png 2x" alt="x">', "loaded from another server"),
        ('<style>@import "https://cdn.example.org/x.css";</style>', "loaded from another server"),
        ('<p style="background: url(https://cdn.example.org/x.png)">', "loaded from another server"),
        ('<iframe src="https://example.org/"></iframe>', "loaded from another server"),
    ],
)
def test_each_fault_is_found(check_html, html, element, kind):
    page = html / "second.html"
    page.write_text(page.read_text() + element)
    assert problems(check_html, html) == [("second.html", kind)]


def test_a_style_sheet_that_loads_from_elsewhere_is_found(check_html, html):
    (html / "style.css").write_text("@font-face { src: url('https://cdn.example.org/font.woff2') }")
    assert problems(check_html, html) == [("style.css", "loaded from another server")]


def test_a_missing_chapter_is_found(check_html, html):
    (html / "_toc.yml").write_text("root: index\nparts:\n  - chapters:\n      - file: second\n      - file: third\n")
    assert problems(check_html, html) == [("third", "missing page")]


def test_the_command_line_lists_problems_and_fails(check_html, html, monkeypatch, capsys):
    monkeypatch.setattr(check_html, "ROOT", html)
    assert check_html.main([str(html)]) == 0
    (html / "second.html").write_text('<img src="picture.png">')
    assert check_html.main([str(html)]) == 1
    assert "second.html: image without alt text: picture.png" in capsys.readouterr().out
    assert check_html.main([str(html / "nothing")]) == 1


def test_damaged_timings_are_made_anew(build, tmp_path, capsys):
    path = tmp_path / "timings.json"
    for content in ("{", "[]", '{"smoke": 3}', '{"smoke": {"01": "long"}}'):
        path.write_text(content)
        assert build.read_timings(path, "smoke") == {}
        assert f"{path}" in capsys.readouterr().err
    build.write_timings(path, "smoke", [])
    capsys.readouterr()
    assert build.read_timings(path, "smoke") == {} and not capsys.readouterr().err
