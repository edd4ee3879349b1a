from lnc_dicom.segment.train import progress


def test_a_log_tells_the_rate_and_the_time_to_finish(monkeypatch):
    clock, lines = iter(range(100_000)), []
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock) * 0.5)
    monkeypatch.setattr(progress, "show_line", lines.append)
    log = progress._Lines("label", 1200)
    for step in range(1, 1201):
        log.tell(step, 0.5)
    assert len(lines) == 12
    assert lines[5] == "label 600/1200 loss 0.500, 2.00/s, 5 min to go"
    assert lines[-1].startswith("label 1200/1200")
