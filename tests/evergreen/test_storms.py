"""The sample of storms: what a fix knows of itself, and what became of it."""

from datetime import date

import pandas as pd

from evergreen.samples import storms


def fix(identity: str) -> pd.Series:
    fixes = storms.load().set_index("fix_id")
    return fixes.loc[identity]


def test_a_fix_knows_its_past_and_is_judged_by_its_next_day():
    """Hurricane Katrina: 60 knots on the evening of 25 August 2005, a hurricane a day later."""
    katrina = fix("katrina-2005-0825T18")
    assert (katrina.status, katrina.wind, katrina.wind_change_6h, katrina.wind_change_24h) == ("storm", 60, 5, 20)
    assert (katrina.status_next_day, katrina.known_at) == ("hurricane", pd.Timestamp("2005-08-26 18:00", tz="UTC"))


def test_where_the_track_ends_the_storm_is_gone_and_a_new_year_does_not_end_it():
    zeta = storms.load()[lambda fixes: fixes.fix_id.str.startswith("zeta-2005")]
    assert zeta.status_next_day.tolist()[-4:] == ["gone"] * 4
    assert zeta.fixed_at.dt.year.nunique() == 2
    assert "gone" not in zeta.status_next_day.tolist()[:-4]


def test_a_week_has_its_fixes_and_the_outcomes_that_became_known_in_it():
    events, outcomes = storms.read(date(2005, 8, 22))
    assert len(events) == 23
    assert len(outcomes) == 17
    assert not {"status_next_day", "known_at"} & set(events)
    assert events.fixed_at.min() == pd.Timestamp("2005-08-23 18:00", tz="UTC")


def test_a_week_without_storms_is_empty_and_has_its_columns():
    events, outcomes = storms.read(date(2005, 2, 7))
    assert (len(events), len(outcomes)) == (0, 0)
    assert list(outcomes) == ["fix_id", "known_at", "status_next_day"]
