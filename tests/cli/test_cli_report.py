"""`milp-planner report`: the decision sheet as an HTML file."""

from __future__ import annotations

pytest_plugins = ["tests.support.toy_cli"]


def test_report_writes_one_file_and_says_so(run, folder):
    code, out, err = run("report", "toy.yaml", "-o", "plan.html")
    assert (code, out, err) == (0, "", "wrote plan.html\n")
    html = (folder / "plan.html").read_text()
    assert html.startswith("<!DOCTYPE html>")
    assert "$3,960" in html
    assert "What else there is" in html


def test_report_goes_to_standard_output_without_a_file_and_leaves_out_choices(run):
    code, out, err = run("report", "toy.yaml", "--no-choices")
    assert (code, err) == (0, "")
    assert out.startswith("<!DOCTYPE html>")
    assert "What else there is" not in out


def test_a_reproducible_report_has_equal_bytes_every_time(run):
    arguments = ("report", "toy.yaml", "--no-choices", "--reproducible", "--as-of", "2026-03-01")
    assert run(*arguments)[1] == run(*arguments)[1]


def test_a_report_of_no_plan_is_written_and_says_why(run, folder):
    (folder / "poor.yaml").write_text(
        (folder / "toy.yaml").read_text() + "limits: {max_gpus: {total: 1}}\n"
    )
    code, _, err = run("report", "poor.yaml", "-o", "poor.html")
    assert code == 3
    assert err == "wrote poor.html, which says why there is no plan\n"
    assert "max_gpus.total" in (folder / "poor.html").read_text()


def test_a_report_is_refused_under_another_ending_before_any_work(run, folder):
    code, _, err = run("report", "toy.yaml", "-o", "plan.pdf")
    assert code == 2
    assert "--output plan.pdf: a report is HTML; give a name in .html" in err
    assert not (folder / "plan.pdf").exists()


def test_report_does_not_overwrite_its_input(run, folder):
    (folder / "toy.html").write_text((folder / "toy.yaml").read_text())
    code, _, err = run("report", "toy.html", "-o", "toy.html")
    assert code == 2
    assert "is the input file; give another name" in err
