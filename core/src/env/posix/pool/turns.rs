//! Whose turn it is: which of the tasks that want to run a free thread of the pool takes.
//!
//! A pure function, called by the pool under its mutex. Promises: if there is more than one thread, merges leave one to flushes, so that
//! no merge holds them up; a database that has none of its tasks of a kind running goes before one that has; else first come, first
//! served. So nobody waits for ever, merges beside databases that flush without a pause neither; but help may, as whoever asks for it does
//! its work himself.

use crate::env::JobKind;

/// A task of the pool, as far as turns go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Member {
    /// The task.
    pub id: u64,
    /// Whose task: a number for each database.
    pub owner: usize,
    /// What it does.
    pub kind: JobKind,
    /// What it is about.
    pub state: MemberState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MemberState {
    /// A thread runs a step of it.
    Running,
    /// It wants to run since this turn; turns rise.
    Ready(u64),
    /// It waits for its bell.
    Resting,
}

/// The task to run next on one of `threads` threads; `None` if all have to wait.
pub(super) fn next(members: &[Member], threads: usize) -> Option<u64> {
    let running = |member: &&Member| member.state == MemberState::Running;
    let merges = members.iter().filter(running).filter(|member| member.kind == JobKind::Merge).count();
    let may_merge = merges < threads.saturating_sub(1).max(1);
    let ready = members.iter().filter_map(|member| match member.state {
        MemberState::Ready(_) if member.kind == JobKind::Merge && !may_merge => None,
        MemberState::Ready(since) => {
            let own = members.iter().filter(running);
            let own = own.filter(|other| other.owner == member.owner && other.kind == member.kind).count();
            Some((member.kind == JobKind::Help, own, since, member.id))
        }
        _ => None,
    });
    ready.min().map(|(.., id)| id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use MemberState::{Ready, Resting, Running};

    fn members(given: &[(usize, JobKind, MemberState)]) -> Vec<Member> {
        let member = |(at, (owner, kind, state)): (usize, &(usize, JobKind, MemberState))| Member {
            id: at as u64,
            owner: *owner,
            kind: *kind,
            state: *state,
        };
        given.iter().enumerate().map(member).collect()
    }

    const FLUSH: JobKind = JobKind::Flush;
    const MERGE: JobKind = JobKind::Merge;

    #[test]
    fn merges_leave_a_thread_to_flushes() {
        let merging = [(1, MERGE, Running), (2, MERGE, Ready(1))];
        assert_eq!(next(&members(&merging), 2), None, "of two threads one merges");
        assert_eq!(next(&members(&merging), 3), Some(1));
        let flush = [(1, MERGE, Running), (2, MERGE, Ready(1)), (2, FLUSH, Ready(9))];
        assert_eq!(next(&members(&flush), 2), Some(2), "a slow merge holds no flush up");
        assert_eq!(next(&members(&[(1, MERGE, Ready(1))]), 1), Some(0), "one thread does everything");
        assert_eq!(next(&members(&[(1, FLUSH, Resting), (1, MERGE, Running)]), 2), None);
    }

    #[test]
    fn who_came_first_goes_first() {
        assert_eq!(next(&members(&[(1, MERGE, Ready(2)), (2, FLUSH, Ready(1))]), 2), Some(1));
        let flushing = [(1, FLUSH, Running), (1, MERGE, Ready(1)), (2, FLUSH, Ready(2))];
        assert_eq!(next(&members(&flushing), 2), Some(1), "flushes without a pause hold no merge up");
    }

    #[test]
    fn a_database_with_a_job_running_lets_others_go_first() {
        let busy = [(1, FLUSH, Running), (1, FLUSH, Ready(1)), (2, FLUSH, Ready(5)), (3, FLUSH, Ready(4))];
        assert_eq!(next(&members(&busy), 2), Some(3), "of the others who came first");
        let merging = [(1, MERGE, Running), (1, FLUSH, Ready(1)), (2, FLUSH, Ready(2))];
        assert_eq!(next(&members(&merging), 2), Some(1), "a merge of its own costs nobody his turn to flush");
    }

    #[test]
    fn help_comes_after_all_that_nobody_else_does() {
        let help = JobKind::Help;
        let all = members(&[(3, help, Ready(1)), (1, MERGE, Ready(7)), (1, FLUSH, Running)]);
        assert_eq!(next(&all, 2), Some(1), "help goes before what nobody else does");
        assert_eq!(next(&members(&[(3, help, Ready(1)), (1, MERGE, Running), (2, MERGE, Ready(2))]), 2), Some(0));
    }

    #[test]
    fn nobody_waits_for_ever() {
        // One thread, three databases that always want to flush and merge, of which the first has two tasks to flush.
        let mut all =
            members(&[(1, FLUSH, Ready(0)), (1, FLUSH, Ready(1)), (2, FLUSH, Ready(2)), (3, FLUSH, Ready(3))]);
        let mut served = [0; 4];
        for turn in 4..404 {
            let id = next(&all, 1).unwrap();
            served[id as usize] += 1;
            all[id as usize].state = Ready(turn);
        }
        assert_eq!(served, [100; 4]);
    }
}
