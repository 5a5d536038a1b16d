"""The plan of kills: every boundary once, then what a seed draws."""

from random import Random

from engine.chaos.plan import Draw, Kill, Undisturbed, boundaries

TYPICAL = Undisturbed(
    reached={"before commit": 3, "after commit": 3, "before send": 1, "after answer": 1}, worked_s=0.5
)


def test_every_boundary_of_a_run_is_swept_once():
    found = boundaries(TYPICAL)
    assert len(found) == len(set(found)) == 8
    assert Kill(point="after commit", number=3) in found
    assert boundaries(Undisturbed(reached={}, worked_s=0.0)) == []


def test_the_same_seed_draws_the_same_lives():
    def drawn(seed: int) -> list[object]:
        draw = Draw(Random(seed), [TYPICAL])
        return [(draw.together(["a", "b", "c"]), draw.kill(2)) for _ in range(50)]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


def test_kills_are_drawn_at_points_and_at_moments_within_a_life():
    draw = Draw(Random(0), [TYPICAL])
    kills = [draw.kill(2) for _ in range(200)]
    assert {kill.kind for kill in kills} == {*TYPICAL.reached, "at a random moment"}
    assert all(0 <= kill.after_s <= 0.5 for kill in kills if kill.after_s is not None)
    assert max(kill.number for kill in kills if kill.point == "before send") == 2, "two runs send twice as often"
    assert max(kill.number for kill in kills if kill.point == "after commit") == 3, "and share their commits"


def test_a_workflow_that_reaches_no_point_is_killed_at_moments():
    draw = Draw(Random(0), [Undisturbed(reached={}, worked_s=1.0)])
    assert {draw.kill(1).kind for _ in range(20)} == {"at a random moment"}
