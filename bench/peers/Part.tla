-------------------------------- MODULE Part --------------------------------
(* One part of the specification (src/breakcow/mm), stated again for TLC: the same part as part.pml, and what is said there holds.
   Each rule is a function from a state to the state after it. *)
EXTENDS Naturals, TLC

CONSTANTS CONTENTS, \* besides zeros
          OPENERS   \* processes 0 .. OPENERS - 1 may open a userfaultfd

VARIABLE state

Processes == {0, 1}
Other(p) == 1 - p
Frames == 0..3 \* 0 is the zero page; two pages and the one that is being made
Contents == 0..CONTENTS
Dead == 1 \* entered: 0 is not on ksmd's list, then an exited mm in front of it, the first rank, the second
Rank == 2

NoPte == [present |-> FALSE, frame |-> 0, write |-> FALSE, dirty |-> FALSE, soft_dirty |-> FALSE, uffd_wp |-> FALSE]
NoVma == [mapped |-> FALSE, mergeable |-> FALSE, registered |-> FALSE, soft_dirty |-> FALSE, anon_vma |-> FALSE, chained |-> FALSE]
NoItem == [exists |-> FALSE, checksum |-> 0, node |-> FALSE, unstable |-> FALSE]
NoGhost == [value |-> 0, mapped |-> FALSE, mergeable |-> FALSE, unmerged |-> FALSE, was_page |-> FALSE, registered |-> FALSE,
            armed |-> FALSE, written |-> FALSE, exempt |-> FALSE]
NoProcess == [state |-> "none", waiting |-> FALSE, argument |-> 0, entered |-> 0, merging |-> FALSE, uffd |-> FALSE, pending |-> FALSE,
              pending_argument |-> 0]
FreePage == [content |-> 0, mapcount |-> 0, exclusive |-> FALSE, ksm |-> FALSE, node |-> FALSE]

Boot ==
  [pte |-> [p \in Processes |-> NoPte],
   vma |-> [p \in Processes |-> IF p = 0 THEN [NoVma EXCEPT !.mapped = TRUE, !.soft_dirty = TRUE] ELSE NoVma],
   rmap |-> [p \in Processes |-> NoItem],
   ghost |-> [p \in Processes |-> IF p = 0 THEN [NoGhost EXCEPT !.mapped = TRUE, !.exempt = TRUE] ELSE NoGhost],
   proc |-> [p \in Processes |-> IF p = 0 THEN [NoProcess EXCEPT !.state = "running"] ELSE NoProcess],
   page |-> [f \in Frames |-> FreePage],
   node |-> [used |-> FALSE, frame |-> 0, content |-> 0, sharers |-> 0], \* frame: 0 if its page was freed
   ksm |-> [pages_shared |-> FALSE, pages_sharing |-> FALSE]]

(* mm/page_alloc, mm/pgtable *)

FreeFrame(s) == IF s.page[1].mapcount = 0 THEN 1 ELSE IF s.page[2].mapcount = 0 THEN 2 ELSE 3

PutPage(s, f) == \* one mapping less
  IF s.page[f].mapcount > 1 THEN [s EXCEPT !.page[f].mapcount = @ - 1]
  ELSE IF s.page[f].node THEN [s EXCEPT !.page[f] = FreePage, !.node.frame = 0, !.node.used = s.node.sharers > 0]
  ELSE [s EXCEPT !.page[f] = FreePage]

PutOld(s, f) == IF f = 0 THEN s ELSE PutPage(s, f)

MakePte(f) == [NoPte EXCEPT !.present = TRUE, !.frame = f]
IsAnonPage(s, p) == s.pte[p].present /\ s.pte[p].frame # 0
PageOf(s, p) == s.page[s.pte[p].frame]

(* mm/memory *)

MapNewPage(s, p, c) ==
  LET f == FreeFrame(s)
  IN [s EXCEPT !.page[f] = [FreePage EXCEPT !.content = c, !.mapcount = 1, !.exclusive = TRUE], !.pte[p] = MakePte(f)]

WritableAndDirty(s, p) == [s EXCEPT !.pte[p].write = TRUE, !.pte[p].dirty = TRUE, !.pte[p].soft_dirty = TRUE]

WpPageCopy(s, p, unshare) ==
  LET old == s.pte[p]
      new == MapNewPage([s EXCEPT !.vma[p].anon_vma = TRUE], p, s.page[old.frame].content)
  IN PutOld(IF unshare THEN [new EXCEPT !.pte[p].soft_dirty = old.soft_dirty, !.pte[p].uffd_wp = old.uffd_wp]
            ELSE WritableAndDirty(new, p), old.frame)

WpPage(s, p) == \* do_wp_page() of a store that need not wait
  LET f == s.pte[p].frame
      reuse == f # 0 /\ (s.page[f].exclusive \/ (~s.page[f].ksm /\ s.page[f].mapcount = 1))
  IN IF reuse THEN WritableAndDirty([s EXCEPT !.page[f].exclusive = TRUE], p) ELSE WpPageCopy(s, p, FALSE)

StoreWaits(s, p) == s.pte[p].present /\ ~s.pte[p].write /\ s.vma[p].registered /\ s.pte[p].uffd_wp

Store(s, p, c) == \* mm/fault, of a store that need not wait
  LET t == IF ~s.pte[p].present THEN WritableAndDirty(MapNewPage([s EXCEPT !.vma[p].anon_vma = TRUE], p, 0), p)
           ELSE IF s.pte[p].write THEN s
           ELSE WpPage(s, p)
  IN [t EXCEPT !.pte[p].dirty = TRUE, !.page[t.pte[p].frame].content = c]

BreakKsm(s, p) == IF IsAnonPage(s, p) /\ PageOf(s, p).ksm THEN WpPageCopy(s, p, TRUE) ELSE s

(* mm/ksm_tree *)

LeaveNode(s, p) ==
  LET sharers == s.node.sharers - 1
      t == [s EXCEPT !.node.sharers = sharers, !.rmap[p].node = FALSE, !.proc[p].merging = FALSE]
  IN IF sharers > 0 THEN [t EXCEPT !.ksm.pages_sharing = FALSE] ELSE [t EXCEPT !.ksm.pages_shared = FALSE]

LeaveIfIn(s, p) == IF s.rmap[p].node THEN LeaveNode(s, p) ELSE s

RemoveRmapItemFromTree(s, p) ==
  LET t == [s EXCEPT !.rmap[p].unstable = FALSE]
  IN IF ~t.rmap[p].node THEN t
     ELSE IF t.node.frame # 0 THEN LeaveNode(t, p)
     ELSE [LeaveIfIn(LeaveIfIn(t, 0), 1) EXCEPT !.node.used = FALSE] \* remove_node_from_stable_tree(): its page was freed

FreeRmapItem(s, p) == [RemoveRmapItemFromTree(s, p) EXCEPT !.rmap[p] = NoItem]

StableTreeInsert(s, f) ==
  IF Assert(~s.node.used, "a second stable node")
  THEN [s EXCEPT !.node = [used |-> TRUE, frame |-> f, content |-> s.page[f].content, sharers |-> 0], !.page[f].node = TRUE]
  ELSE s

StableTreeAppend(s, p) ==
  LET t == [s EXCEPT !.node.sharers = @ + 1, !.rmap[p].node = TRUE, !.proc[p].merging = TRUE]
  IN IF t.node.sharers > 1 THEN [t EXCEPT !.ksm.pages_sharing = TRUE] ELSE [t EXCEPT !.ksm.pages_shared = TRUE]

(* mm/ksm_scan *)

WriteProtectPage(s, p) == \* not for a KSM page
  IF s.pte[p].write \/ s.pte[p].dirty \/ PageOf(s, p).exclusive
  THEN [s EXCEPT !.page[s.pte[p].frame].exclusive = FALSE, !.pte[p].dirty = FALSE, !.pte[p].write = FALSE]
  ELSE s

CanMerge(s, p, kpage) == s.pte[p].frame = kpage \/ (~PageOf(s, p).ksm /\ PageOf(s, p).content = s.page[kpage].content)

MergeOnePage(s, p, kpage) == \* try_to_merge_one_page() with a KSM page
  LET old == s.pte[p].frame
      t == WriteProtectPage(s, p)
  IN IF old = kpage \/ s.page[old].ksm THEN s
     ELSE IF CanMerge(s, p, kpage) THEN PutPage([t EXCEPT !.pte[p] = MakePte(kpage), !.page[kpage].mapcount = @ + 1], old)
     ELSE t

TryToMergeTwoPages(s, p, q) ==
  LET f == s.pte[p].frame
      t == [WriteProtectPage(s, p) EXCEPT !.page[f].ksm = TRUE]
      u == MergeOnePage(t, q, f)
      v == RemoveRmapItemFromTree(RemoveRmapItemFromTree(u, p), q)
  IN IF s.page[f].ksm THEN s
     ELSE IF CanMerge(t, q, f) THEN StableTreeAppend(StableTreeAppend(StableTreeInsert(v, f), q), p)
     ELSE BreakKsm(u, p)

MergeWithUnstableTree(s, p) ==
  LET q == Other(p)
  IN IF s.rmap[q].unstable /\ IsAnonPage(s, q) /\ PageOf(s, q).content = PageOf(s, p).content
     THEN IF s.pte[q].frame = s.pte[p].frame THEN s ELSE TryToMergeTwoPages(s, p, q)
     ELSE [s EXCEPT !.rmap[p].unstable = TRUE]

Merge(s, p) == \* the stable tree, then the unstable one
  LET page == PageOf(s, p)
      found == page.node \/ (s.node.used /\ s.node.frame # 0 /\ s.node.content = page.content /\ s.node.sharers > 0)
      t == RemoveRmapItemFromTree(s, p)
  IN IF ~found THEN MergeWithUnstableTree(t, p)
     ELSE IF CanMerge(t, p, t.node.frame) THEN StableTreeAppend(MergeOnePage(t, p, t.node.frame), p)
     ELSE MergeOnePage(t, p, t.node.frame)

CmpAndMergePage(s, p) ==
  LET t == RemoveRmapItemFromTree(s, p)
      checksum == PageOf(s, p).content + 1
  IN IF PageOf(s, p).node THEN (IF s.rmap[p].node THEN s ELSE Merge(s, p))
     ELSE IF t.rmap[p].checksum = checksum THEN Merge(t, p)
     ELSE [t EXCEPT !.rmap[p].checksum = checksum]

CanScan(s, p) == s.proc[p].state = "running" /\ s.vma[p].mapped /\ s.vma[p].mergeable /\ s.vma[p].anon_vma /\ IsAnonPage(s, p)

ScanMm(s, p) ==
  LET t == IF CanScan(s, p) THEN CmpAndMergePage([s EXCEPT !.rmap[p].exists = TRUE], p) ELSE FreeRmapItem(s, p)
  IN IF s.proc[p].entered = 0 THEN s
     ELSE IF t.vma[p].mapped /\ t.vma[p].mergeable THEN t
     ELSE [t EXCEPT !.proc[p].entered = 0]

KsmDoScan(s) ==
  LET t == [s EXCEPT !.rmap[0].unstable = FALSE, !.rmap[1].unstable = FALSE]
      u == IF s.proc[1].entered < s.proc[0].entered THEN ScanMm(ScanMm(t, 1), 0) ELSE ScanMm(ScanMm(t, 0), 1)
  IN [u EXCEPT !.ghost[0].unmerged = @ /\ ~u.ghost[0].mergeable, !.ghost[1].unmerged = @ /\ ~u.ghost[1].mergeable]

KsmEnter(s, p) ==
  IF s.proc[p].entered # 0 THEN s
  ELSE [s EXCEPT !.proc[p].entered = IF s.proc[Other(p)].entered >= Rank THEN Rank + 1 ELSE Rank]

(* each operation with what it means to the ghost *)

Stored(s, p, c) == [s EXCEPT !.ghost[p].value = c, !.ghost[p].written = TRUE]

Write(s, p, c) ==
  IF ~StoreWaits(s, p) THEN Stored(Store(s, p, c), p, c)
  ELSE IF Assert(s.ghost[p].armed, "no-event-without-a-write")
  THEN [s EXCEPT !.proc[p].waiting = TRUE, !.proc[p].argument = c, !.proc[p].pending = TRUE, !.proc[p].pending_argument = c,
                 !.ghost[p].exempt = TRUE]
  ELSE s

Read(s, p) ==
  LET t == IF s.pte[p].present THEN s ELSE [s EXCEPT !.pte[p] = MakePte(0)]
  IN IF Assert(PageOf(t, p).content = s.ghost[p].value, "isolation: what was read") THEN t ELSE s

CopyPresentPte(s, p, c) ==
  LET f == s.pte[p].frame
      t == [s EXCEPT !.pte[p].write = FALSE,
                     !.pte[c] = [MakePte(f) EXCEPT !.dirty = s.pte[p].dirty, !.soft_dirty = s.pte[p].soft_dirty]]
  IN IF f = 0 THEN t ELSE [t EXCEPT !.page[f].mapcount = @ + 1, !.page[f].exclusive = FALSE]

Fork(s, p, c) ==
  LET parent == s.vma[p]
      inherited == s.ghost[p]
      t == [s EXCEPT
        !.proc[c].state = "running",
        !.vma[c] = [NoVma EXCEPT !.mapped = TRUE, !.mergeable = parent.mergeable, !.soft_dirty = parent.soft_dirty,
                                 !.anon_vma = parent.anon_vma, !.chained = parent.anon_vma],
        !.ghost[c] = [NoGhost EXCEPT !.value = inherited.value, !.mapped = inherited.mapped, !.mergeable = inherited.mergeable,
                                     !.written = inherited.written, !.exempt = inherited.exempt]]
      u == IF parent.anon_vma /\ s.pte[p].present THEN CopyPresentPte(t, p, c) ELSE t
  IN IF u.proc[p].entered # 0 THEN KsmEnter(u, c) ELSE u

Exit(s, p) ==
  LET t == [s EXCEPT !.proc[p].state = "exited", !.pte[p] = NoPte, !.vma[p] = NoVma, !.ghost[p] = NoGhost,
                     !.proc[p].entered = IF @ # 0 /\ s.rmap[p].exists THEN Dead ELSE 0]
  IN PutOld(t, s.pte[p].frame)

Mergeable(s, p) ==
  LET t == IF s.vma[p].mergeable THEN s ELSE [KsmEnter(s, p) EXCEPT !.vma[p].mergeable = TRUE]
  IN [t EXCEPT !.ghost[p].mergeable = TRUE, !.ghost[p].unmerged = FALSE]

Unmergeable(s, p) ==
  LET t == IF s.vma[p].mergeable /\ s.vma[p].anon_vma THEN BreakKsm(s, p) ELSE s
  IN [t EXCEPT !.vma[p].mergeable = FALSE, !.ghost[p].mergeable = FALSE, !.ghost[p].unmerged = TRUE]

ClearRefs(s, p) ==
  LET t == [s EXCEPT !.vma[p].soft_dirty = FALSE, !.ghost[p].written = FALSE, !.ghost[p].exempt = FALSE]
  IN IF s.pte[p].present THEN [t EXCEPT !.pte[p].write = FALSE, !.pte[p].soft_dirty = FALSE] ELSE t

UffdOpen(s, p) == [s EXCEPT !.proc[p].uffd = TRUE]

UffdRegister(s, p) ==
  IF s.proc[p].state = "running" THEN [s EXCEPT !.vma[p].registered = TRUE, !.ghost[p].registered = TRUE] ELSE s

UffdProtect(s, p) ==
  IF s.proc[p].state = "running" /\ s.vma[p].registered /\ s.pte[p].present
  THEN [s EXCEPT !.pte[p].uffd_wp = TRUE, !.pte[p].write = FALSE, !.ghost[p].armed = TRUE]
  ELSE s

Resume(s, p) == \* the store goes on
  LET t == Store([s EXCEPT !.proc[p].waiting = FALSE], p, s.proc[p].argument)
  IN [Stored(t, p, s.proc[p].pending_argument) EXCEPT !.proc[p].argument = 0, !.proc[p].pending = FALSE, !.proc[p].pending_argument = 0]

UffdRelease(s, p) ==
  LET pte == s.pte[p]
      write == pte.present /\ pte.frame # 0 /\ (s.vma[p].soft_dirty \/ pte.soft_dirty) /\ PageOf(s, p).exclusive
      t == [s EXCEPT !.pte[p].uffd_wp = FALSE, !.pte[p].write = write, !.ghost[p].armed = FALSE]
  IN IF s.proc[p].state # "running" \/ ~s.vma[p].registered THEN s
     ELSE IF s.proc[p].waiting THEN Resume(t, p)
     ELSE t

(* normal form: frames by first use, ranks without a gap *)

Exchanged(name, f, g) == IF name = f THEN g ELSE IF name = g THEN f ELSE name

NameFrame(s, f, g) ==
  IF f = g THEN s
  ELSE [s EXCEPT !.page[f] = s.page[g], !.page[g] = s.page[f], !.node.frame = Exchanged(@, f, g),
                 !.pte[0].frame = Exchanged(@, f, g), !.pte[1].frame = Exchanged(@, f, g)]

NameFrames(s) ==
  LET t == IF s.pte[0].frame >= 1 THEN NameFrame(s, s.pte[0].frame, 1) ELSE s
      k == IF s.pte[0].frame >= 1 THEN 2 ELSE 1
  IN IF t.pte[1].frame >= k THEN NameFrame(t, t.pte[1].frame, k) ELSE t

RankOf(s, p) == IF s.proc[p].entered = Rank + 1 /\ s.proc[Other(p)].entered < Rank THEN Rank ELSE s.proc[p].entered

Normal(s) ==
  LET t == NameFrames(s)
  IN [t EXCEPT !.ghost[0].was_page = IsAnonPage(t, 0), !.ghost[1].was_page = IsAnonPage(t, 1),
               !.proc[0].merging = @ /\ t.proc[0].state # "exited", !.proc[1].merging = @ /\ t.proc[1].state # "exited",
               !.proc[0].entered = RankOf(t, 0), !.proc[1].entered = RankOf(t, 1),
               !.node.content = IF t.node.used /\ t.node.frame # 0 THEN @ ELSE 0]

(* the action table *)

Awake(p) == state.proc[p].state = "running" /\ ~state.proc[p].waiting
Becomes(s) == state' = Normal(s)

Init == state = Boot

Next ==
  \/ \E p \in Processes:
     \/ Awake(p) /\ \E c \in Contents: Becomes(Write(state, p, c))
     \/ Awake(p) /\ Becomes(Read(state, p))
     \/ Awake(p) /\ Becomes(Mergeable(state, p))
     \/ Awake(p) /\ Becomes(Unmergeable(state, p))
     \/ Awake(p) /\ Becomes(Exit(state, p))
     \/ Awake(p) /\ Becomes(ClearRefs(state, p))
     \/ Awake(p) /\ p < OPENERS /\ ~state.proc[p].uffd /\ Becomes(UffdOpen(state, p))
     \/ state.proc[p].uffd /\ Becomes(UffdRegister(state, p))
     \/ state.proc[p].uffd /\ Becomes(UffdProtect(state, p))
     \/ state.proc[p].uffd /\ Becomes(UffdRelease(state, p))
  \/ Awake(0) /\ state.proc[1].state = "none" /\ Becomes(Fork(state, 0, 1))
  \/ Becomes(KsmDoScan(state))

Spec == Init /\ [][Next]_state

(* mm/promises: the seven that this kernel keeps in this part. It breaks protect-traps-every-write and soft-dirty-is-complete. *)

Consistent(pte, page) ==
  IF ~pte.present THEN ~pte.write /\ ~pte.dirty
  ELSE IF pte.frame = 0 THEN ~pte.write
  ELSE IF page.ksm THEN ~pte.write /\ ~page.exclusive
  ELSE (page.exclusive => page.mapcount = 1) /\ (pte.write => page.exclusive)

Kept(p) ==
  LET pte == state.pte[p]
      ghost == state.ghost[p]
      page == PageOf(state, p)
  IN state.proc[p].state = "running" =>
       /\ ghost.unmerged /\ pte.present /\ pte.frame # 0 => ~page.ksm \* unmerge-leaves-no-ksm
       /\ ghost.mapped /\ ~ghost.written /\ ~ghost.exempt => ~pte.soft_dirty /\ ~state.vma[p].soft_dirty \* soft-dirty-is-precise
       /\ ghost.mapped => (IF pte.present THEN page.content ELSE 0) = ghost.value \* isolation
       /\ pte.uffd_wp => ghost.registered \* protection-only-where-armed
       /\ Consistent(pte, page) \* internal-consistency

Maps(p, f) == IF state.pte[p].present /\ state.pte[p].frame = f THEN 1 ELSE 0

ConsistentCounters ==
  /\ \A f \in 1..3: state.page[f].mapcount = Maps(0, f) + Maps(1, f)
  /\ state.ksm.pages_shared = (state.node.used /\ state.node.sharers > 0)
  /\ state.ksm.pages_sharing = (state.node.used /\ state.node.sharers > 1)

Promises == Kept(0) /\ Kept(1) /\ ConsistentCounters
=============================================================================
