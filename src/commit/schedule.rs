//! When a commit is due by the clock on the wall.
//!
//! Owns: the marks of `commit.schedule`: multiples of a time since local midnight, and midnight itself.
//! Does not own: reading a clock; whoever asks says what time it is.
//! Bounded by: a few steps over changes of the zone's offset.
//! Absent: IO, clocks, async. Nothing but the size of files depends on it.
//!
//! Marks are local times, so `6h` means 00:00, 06:00, 12:00 and 18:00 also on the day the clocks change. A mark
//! that the clocks jump over is at the jump; one that they show twice comes twice.

use jiff::Timestamp;
use jiff::tz::TimeZone;

const DAY_MS: i64 = 86_400_000;
/// Changes of the offset between two marks that are looked at: more than any zone has in a day.
const CHANGES_MAX: usize = 4;

/// The first mark after `now_ms` (ms since 1970), where `every_ms` is from 1 to a day's.
pub fn next_mark_ms(now_ms: i64, every_ms: i64, zone: &TimeZone) -> i64 {
    let every = every_ms.clamp(1, DAY_MS);
    let mut at = now_ms;
    for _ in 0..CHANGES_MAX {
        let Some((offset, change)) = offset_at(at, zone) else { break };
        let mark = mark_after(at.saturating_add(offset), every).saturating_sub(offset);
        let Some((change, after)) = change.filter(|(change, _)| *change < mark) else {
            return mark;
        };
        // Local times from `change + offset` on are not shown when the clocks go forward.
        if change + after >= mark + offset {
            return change;
        }
        // A mark at the change itself counts as one after it.
        let first = mark_after(change + after - 1, every) - after;
        if first == change {
            return change;
        }
        at = change;
    }
    now_ms.saturating_add(every)
}

/// The first multiple of `every` since midnight after a local time, at the latest the next midnight.
fn mark_after(local: i64, every: i64) -> i64 {
    let midnight = local.div_euclid(DAY_MS) * DAY_MS;
    let next = (local - midnight) / every * every + every;
    midnight.saturating_add(next.min(DAY_MS))
}

/// The zone's offset at an instant; its next change, with the offset after it. All in ms. `None` outside of the
/// calendar.
fn offset_at(at: i64, zone: &TimeZone) -> Option<(i64, Option<(i64, i64)>)> {
    let instant = Timestamp::from_millisecond(at).ok()?;
    let ms = |offset: jiff::tz::Offset| i64::from(offset.seconds()) * 1_000;
    let change = zone.following(instant).next();
    let change = change.map(|c| (c.timestamp().as_millisecond(), ms(c.offset())));
    Some((ms(zone.to_offset(instant)), change))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;
    const HOUR: i64 = 60 * MINUTE;

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).unwrap()
    }

    fn ms(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    /// The marks after an instant, as text in UTC.
    fn marks(from: &str, every: i64, name: &str, count: usize) -> Vec<String> {
        let (zone, mut at) = (zone(name), ms(from));
        let next = || {
            at = next_mark_ms(at, every, &zone);
            Timestamp::from_millisecond(at).unwrap().strftime("%dT%H:%M:%S").to_string()
        };
        std::iter::repeat_with(next).take(count).collect()
    }

    #[test]
    fn mark_is_after_now_and_on_the_grid_of_the_day() {
        // The cases by which Connect's own schedule is tested: hours, a second before and after, seven hours.
        let utc = TimeZone::UTC;
        let midnight = ms("2026-01-02T00:00:00Z");
        for (now, every, mark) in [
            (0, HOUR, HOUR),
            (-1_000, HOUR, 0),
            (1_000, HOUR, HOUR),
            (HOUR, HOUR, 2 * HOUR),
            (HOUR - 1_000, HOUR, HOUR),
            (0, 7 * HOUR, 7 * HOUR),
            (20 * HOUR, 7 * HOUR, 21 * HOUR),
            (21 * HOUR, 7 * HOUR, 24 * HOUR),
            (24 * HOUR, 7 * HOUR, 31 * HOUR),
            (0, 24 * HOUR, 24 * HOUR),
        ] {
            assert_eq!(next_mark_ms(midnight + now, every, &utc), midnight + mark, "{now} {every}");
        }
        // Before 1970, too.
        assert_eq!(next_mark_ms(-1, HOUR, &utc), 0);
        assert_eq!(next_mark_ms(-HOUR - 1, HOUR, &utc), -HOUR);
    }

    #[test]
    fn marks_are_local_times_when_clocks_go_forward() {
        // Paris, 29 March 2026: 02:00 becomes 03:00, which is 01:00 UTC.
        assert_eq!(
            marks("2026-03-29T00:10:00Z", 15 * MINUTE, "Europe/Paris", 5),
            ["29T00:15:00", "29T00:30:00", "29T00:45:00", "29T01:00:00", "29T01:15:00"]
        );
        // 06:00, 12:00, 18:00 and 00:00 in Paris.
        assert_eq!(
            marks("2026-03-28T23:30:00Z", 6 * HOUR, "Europe/Paris", 4),
            ["29T04:00:00", "29T10:00:00", "29T16:00:00", "29T22:00:00"]
        );
        // 02:00 does not exist: at the jump instead. Then 04:00 in Paris.
        assert_eq!(
            marks("2026-03-28T23:30:00Z", 2 * HOUR, "Europe/Paris", 2),
            ["29T01:00:00", "29T02:00:00"]
        );
    }

    #[test]
    fn marks_are_local_times_when_clocks_go_back() {
        // Paris, 25 October 2026: 03:00 becomes 02:00, which is 01:00 UTC. Quarters of an hour come twice.
        assert_eq!(
            marks("2026-10-25T00:40:00Z", 15 * MINUTE, "Europe/Paris", 4),
            ["25T00:45:00", "25T01:00:00", "25T01:15:00", "25T01:30:00"]
        );
        assert_eq!(
            marks("2026-10-24T22:30:00Z", 6 * HOUR, "Europe/Paris", 2),
            ["25T05:00:00", "25T11:00:00"]
        );
    }

    #[test]
    fn zones_with_odd_offsets_keep_their_own_midnight() {
        // India is 5:30 ahead, Lord Howe moves by half an hour: 4 October 2026, 02:00 becomes 02:30.
        assert_eq!(
            marks("2026-01-01T17:00:00Z", HOUR, "Asia/Kolkata", 3),
            ["01T17:30:00", "01T18:30:00", "01T19:30:00"]
        );
        assert_eq!(
            marks("2026-10-03T15:00:00Z", HOUR, "Australia/Lord_Howe", 2),
            ["03T15:30:00", "03T16:00:00"]
        );
        // Apia had no 30 December 2011: the whole day is jumped over, with its marks.
        assert_eq!(
            marks("2011-12-30T09:59:59Z", 24 * HOUR, "Pacific/Apia", 2),
            ["30T10:00:00", "31T10:00:00"]
        );
    }

    #[test]
    fn marks_always_rise_and_are_never_further_than_a_day_and_a_jump() {
        let mut random = crate::clock::Seeded::new(11);
        for name in
            ["UTC", "Europe/Paris", "America/New_York", "Pacific/Apia", "Australia/Lord_Howe"]
        {
            let zone = zone(name);
            for _ in 0..2_000 {
                let now = random.below(4_000_000_000_000) as i64 - 1_000_000_000_000;
                let every = 1_000 * (1 + random.below(86_400) as i64);
                let mark = next_mark_ms(now, every, &zone);
                assert!(mark > now, "{name}: {mark} after {now}, every {every}");
                assert!(mark - now <= every + 25 * HOUR, "{name}: {mark} after {now}, {every}");
                // No mark lies in between: asked from there, the same one comes.
                let between = now + (mark - now) / 2;
                assert_eq!(next_mark_ms(between, every, &zone), mark, "{name} {now} {every}");
            }
        }
        for hostile in [i64::MIN, i64::MAX, i64::MAX - DAY_MS] {
            next_mark_ms(hostile, HOUR, &TimeZone::UTC);
        }
    }
}
