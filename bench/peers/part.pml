/* One part of the specification (src/breakcow/mm), stated again for SPIN: two processes, a page each, on kernel 7.2.

   Operations: write, read, fork, exit, mergeable, unmergeable, clear_refs, userfaultfd open, register, protect, release, a scan of ksmd.
   The functions have the names that they have in mm/. With one page a process, its page has its number, every range is that page, and
   vmas never merge. What is constant in this part (no pins, no pipes, knobs as at boot, one stable node) is not stated; where a page can
   only be written to in its sleep, the sleeping operation is a write.

   CONTENTS: contents besides zeros. OPENERS: processes 0 .. OPENERS - 1 may open a userfaultfd. PROMISES: check them.  */

#ifndef CONTENTS
#define CONTENTS 1
#endif
#ifndef OPENERS
#define OPENERS 2
#endif
#ifndef PROMISES
#define PROMISES 1
#endif
#define flag bit
#define NUMBER(name) unsigned name : 2

#define NONE 0 /* proc[p].state */
#define RUNNING 1
#define EXITED 2

#define DEAD 1 /* proc[p].entered: not on ksmd's list, an exited mm in front of it, the first rank, the second */
#define RANK 2

typedef Pte { flag present; NUMBER(frame); flag write; flag dirty; flag soft_dirty; flag uffd_wp }
typedef Vma { flag mapped; flag mergeable; flag registered; flag soft_dirty; flag anon_vma; flag chained }
typedef RmapItem { flag exists; NUMBER(checksum); flag node; flag unstable }
typedef Ghost {
  NUMBER(value); flag mapped; flag mergeable; flag unmerged; flag was_page; flag registered; flag armed; flag written; flag exempt
}
typedef Process {
  NUMBER(state); flag waiting; NUMBER(argument); NUMBER(entered); flag merging; flag uffd; flag pending; NUMBER(pending_argument)
}
typedef Page { NUMBER(content); NUMBER(mapcount); flag exclusive; flag ksm; flag node }
typedef StableNode { flag used; NUMBER(frame); NUMBER(content); NUMBER(sharers) } /* frame: 0 if its page was freed */
typedef Ksm { flag pages_shared; flag pages_sharing }

Pte pte[2];
Vma vma[2];
RmapItem rmap[2];
Ghost ghost[2];
Process proc[2];
Page page[4]; /* 0 is the zero page; two pages and the one that is being made */
StableNode node;
Ksm ksm;

hidden byte f, old, twin, x, held, a, b, turn; /* scratch of a step */
hidden byte blocked, soft, protected, keeps;

/* ---- mm/page_alloc, mm/pgtable ---- */

inline alloc_page(c) { /* to f */
  f = 1;
  do
  :: page[f].mapcount -> f++
  :: else -> break
  od;
  page[f].content = c; page[f].exclusive = 0; page[f].ksm = 0; page[f].node = 0
}

inline put_page(g) {
  if
  :: page[g].mapcount == 0 ->
     if
     :: page[g].node -> node.frame = 0; if :: node.sharers == 0 -> node.used = 0 :: else fi
     :: else
     fi;
     page[g].content = 0; page[g].exclusive = 0; page[g].ksm = 0; page[g].node = 0
  :: else
  fi
}

inline set_pte(p, g) {
  pte[p].present = 1; pte[p].frame = g; pte[p].write = 0; pte[p].dirty = 0; pte[p].soft_dirty = 0; pte[p].uffd_wp = 0
}

#define is_anon_page(p) (pte[p].present && pte[p].frame)

inline zap_pte(p) {
  old = pte[p].frame;
  set_pte(p, 0); pte[p].present = 0;
  if
  :: old -> page[old].mapcount--; put_page(old)
  :: else
  fi
}

/* ---- mm/memory ---- */

inline map_new_page(p, c) {
  alloc_page(c);
  page[f].mapcount = 1; page[f].exclusive = 1;
  set_pte(p, f)
}

inline writable_and_dirty(p) { pte[p].write = 1; pte[p].dirty = 1; pte[p].soft_dirty = 1 }

inline wp_page_copy(p, unshare) {
  old = pte[p].frame; soft = pte[p].soft_dirty; protected = pte[p].uffd_wp;
  vma[p].anon_vma = 1;
  held = page[old].content;
  map_new_page(p, held);
  if
  :: unshare -> pte[p].soft_dirty = soft; pte[p].uffd_wp = protected
  :: else -> writable_and_dirty(p)
  fi;
  if
  :: old -> page[old].mapcount--; put_page(old)
  :: else
  fi
}

inline store(p, c) { /* mm/fault; sets blocked */
  blocked = 0;
  if
  :: !pte[p].present -> /* do_anonymous_page() */
     vma[p].anon_vma = 1;
     map_new_page(p, 0);
     writable_and_dirty(p)
  :: else ->
     if
     :: pte[p].write
     :: else -> /* do_wp_page() */
        if
        :: vma[p].registered && pte[p].uffd_wp -> blocked = 1
        :: else ->
           if
           :: pte[p].frame == 0 -> wp_page_copy(p, 0)
           :: else ->
              f = pte[p].frame;
              if /* can_reuse() */
              :: !page[f].ksm && page[f].mapcount == 1 -> page[f].exclusive = 1
              :: else
              fi;
              if
              :: page[f].exclusive -> writable_and_dirty(p)
              :: else -> wp_page_copy(p, 0)
              fi
           fi
        fi
     fi
  fi;
  if
  :: blocked
  :: else -> pte[p].dirty = 1; page[pte[p].frame].content = c
  fi
}

inline break_ksm(p) {
  if
  :: is_anon_page(p) && page[pte[p].frame].ksm -> wp_page_copy(p, 1)
  :: else
  fi
}

/* ---- mm/ksm_tree ---- */

inline leave_node(p) {
  node.sharers--;
  rmap[p].node = 0;
  proc[p].merging = 0;
  if
  :: node.sharers -> ksm.pages_sharing = 0
  :: else -> ksm.pages_shared = 0
  fi
}

inline remove_rmap_item_from_tree(p) {
  rmap[p].unstable = 0;
  if
  :: rmap[p].node ->
     if
     :: node.frame -> leave_node(p)
     :: else -> /* remove_node_from_stable_tree(): its page was freed */
        if :: rmap[0].node -> leave_node(0) :: else fi;
        if :: rmap[1].node -> leave_node(1) :: else fi;
        node.used = 0
     fi
  :: else
  fi
}

inline free_rmap_item(p) {
  remove_rmap_item_from_tree(p);
  rmap[p].exists = 0; rmap[p].checksum = 0
}

inline stable_tree_append(p) {
  node.sharers++;
  rmap[p].node = 1;
  proc[p].merging = 1;
  if
  :: node.sharers > 1 -> ksm.pages_sharing = 1
  :: else -> ksm.pages_shared = 1
  fi
}

/* ---- mm/ksm_scan ---- */

inline write_protect_page(p) { /* keeps: it cannot */
  f = pte[p].frame;
  keeps = page[f].ksm;
  if
  :: !keeps && (pte[p].write || pte[p].dirty || page[f].exclusive) -> page[f].exclusive = 0; pte[p].dirty = 0; pte[p].write = 0
  :: else
  fi
}

inline replace_page(p, kpage) {
  old = pte[p].frame;
  set_pte(p, kpage);
  page[kpage].mapcount++;
  page[old].mapcount--;
  put_page(old)
}

inline merge_one_page(p, kpage) { /* try_to_merge_one_page() with a KSM page; keeps: it cannot */
  if
  :: pte[p].frame == kpage -> keeps = 0
  :: else ->
     write_protect_page(p);
     keeps = keeps || page[f].content != page[kpage].content;
     if
     :: keeps
     :: else -> replace_page(p, kpage)
     fi
  fi
}

inline merge_with_unstable_tree(p, q) { /* q: the other process, whose item alone can be in the tree */
  x = pte[p].frame;
  if
  :: rmap[q].unstable && is_anon_page(q) && page[pte[q].frame].content == page[x].content ->
     if
     :: pte[q].frame == x
     :: else -> /* try_to_merge_two_pages() */
        write_protect_page(p);
        if
        :: keeps
        :: else ->
           page[x].ksm = 1;
           merge_one_page(q, x);
           if
           :: keeps -> break_ksm(p)
           :: else ->
              remove_rmap_item_from_tree(p);
              remove_rmap_item_from_tree(q);
              assert(!node.used); /* stable_tree_insert() */
              node.used = 1; node.frame = x; node.content = page[x].content; node.sharers = 0;
              page[x].node = 1;
              stable_tree_append(q);
              stable_tree_append(p)
           fi
        fi
     fi
  :: else -> rmap[p].unstable = 1
  fi
}

inline merge(p, q) { /* the stable tree, then the unstable one */
  twin = page[pte[p].frame].node || (node.used && node.frame && node.content == page[pte[p].frame].content && node.sharers > 0);
  remove_rmap_item_from_tree(p);
  if
  :: twin ->
     merge_one_page(p, node.frame);
     if
     :: keeps
     :: else -> stable_tree_append(p)
     fi
  :: else -> merge_with_unstable_tree(p, q)
  fi
}

inline cmp_and_merge_page(p, q) {
  if
  :: page[pte[p].frame].node ->
     if
     :: rmap[p].node
     :: else -> merge(p, q)
     fi
  :: else ->
     remove_rmap_item_from_tree(p);
     if
     :: rmap[p].checksum == page[pte[p].frame].content + 1 -> merge(p, q)
     :: else -> rmap[p].checksum = page[pte[p].frame].content + 1
     fi
  fi
}

inline scan_mm(p, q) {
  if
  :: proc[p].state == RUNNING && vma[p].mapped && vma[p].mergeable && vma[p].anon_vma && is_anon_page(p) ->
     rmap[p].exists = 1;
     cmp_and_merge_page(p, q)
  :: else -> free_rmap_item(p)
  fi;
  if
  :: vma[p].mapped && vma[p].mergeable
  :: else -> proc[p].entered = 0
  fi
}

inline ksm_do_scan() {
  rmap[0].unstable = 0; rmap[1].unstable = 0;
  a = (proc[1].entered < proc[0].entered -> 1 : 0);
  b = 1 - a;
  turn = 0;
  do
  :: turn < 2 ->
     if :: proc[a].entered -> scan_mm(a, b) :: else fi;
     a = 1 - a; b = 1 - b; turn++
  :: else -> break
  od;
  /* the ghost: a scan is a new licence to merge what is mergeable */
  if :: ghost[0].mergeable -> ghost[0].unmerged = 0 :: else fi;
  if :: ghost[1].mergeable -> ghost[1].unmerged = 0 :: else fi
}

inline ksm_enter(p, q) {
  if
  :: proc[p].entered
  :: else -> proc[p].entered = (proc[q].entered >= RANK -> RANK + 1 : RANK)
  fi
}

/* ---- mm/madvise, fork, task_mmu, userfaultfd: each operation with what it means to the ghost ---- */

inline do_write(p, c) {
  store(p, c);
  if
  :: blocked ->
     assert(!PROMISES || ghost[p].armed); /* no-event-without-a-write */
     proc[p].waiting = 1; proc[p].argument = c;
     proc[p].pending = 1; proc[p].pending_argument = c;
     ghost[p].exempt = 1
  :: else -> ghost[p].value = c; ghost[p].written = 1
  fi
}

inline do_read(p) {
  if
  :: pte[p].present
  :: else -> set_pte(p, 0)
  fi;
  assert(!PROMISES || page[pte[p].frame].content == ghost[p].value) /* isolation: what was read */
}

inline do_fork(p, c) {
  proc[c].state = RUNNING;
  vma[c].mapped = 1; vma[c].mergeable = vma[p].mergeable; vma[c].soft_dirty = vma[p].soft_dirty;
  if
  :: vma[p].anon_vma ->
     vma[c].anon_vma = 1; vma[c].chained = 1;
     if
     :: pte[p].present -> /* copy_present_pte() */
        f = pte[p].frame;
        if :: f -> page[f].mapcount++; page[f].exclusive = 0 :: else fi;
        pte[p].write = 0;
        pte[c].present = 1; pte[c].frame = f; pte[c].dirty = pte[p].dirty; pte[c].soft_dirty = pte[p].soft_dirty
     :: else
     fi
  :: else
  fi;
  if :: proc[p].entered -> ksm_enter(c, p) :: else fi;
  ghost[c].value = ghost[p].value; ghost[c].mapped = ghost[p].mapped; ghost[c].mergeable = ghost[p].mergeable;
  ghost[c].written = ghost[p].written; ghost[c].exempt = ghost[p].exempt
}

inline do_exit(p) {
  if
  :: proc[p].entered -> proc[p].entered = (rmap[p].exists -> DEAD : 0)
  :: else
  fi;
  zap_pte(p);
  vma[p].mapped = 0; vma[p].mergeable = 0; vma[p].registered = 0; vma[p].soft_dirty = 0; vma[p].anon_vma = 0; vma[p].chained = 0;
  proc[p].state = EXITED; proc[p].merging = 0;
  ghost[p].value = 0; ghost[p].mapped = 0; ghost[p].mergeable = 0; ghost[p].unmerged = 0; ghost[p].registered = 0; ghost[p].armed = 0;
  ghost[p].written = 0; ghost[p].exempt = 0
}

inline do_mergeable(p, q) {
  if
  :: vma[p].mergeable
  :: else -> ksm_enter(p, q); vma[p].mergeable = 1
  fi;
  ghost[p].mergeable = 1; ghost[p].unmerged = 0
}

inline do_unmergeable(p) {
  if
  :: vma[p].mergeable ->
     if :: vma[p].anon_vma -> break_ksm(p) :: else fi;
     vma[p].mergeable = 0
  :: else
  fi;
  ghost[p].mergeable = 0; ghost[p].unmerged = 1
}

inline do_clear_refs(p) {
  vma[p].soft_dirty = 0;
  if
  :: pte[p].present -> pte[p].write = 0; pte[p].soft_dirty = 0
  :: else
  fi;
  ghost[p].written = 0; ghost[p].exempt = 0
}

inline uffd_register(p) { /* nothing without a living mm */
  if
  :: proc[p].state == RUNNING -> vma[p].registered = 1; ghost[p].registered = 1
  :: else
  fi
}

inline uffd_protect(p) { /* nothing where it is not registered */
  if
  :: proc[p].state == RUNNING && vma[p].registered ->
     if
     :: pte[p].present -> pte[p].uffd_wp = 1; pte[p].write = 0; ghost[p].armed = 1
     :: else
     fi
  :: else
  fi
}

inline uffd_release(p) {
  if
  :: proc[p].state == RUNNING && vma[p].registered ->
     pte[p].uffd_wp = 0;
     if
     :: pte[p].present ->
        f = pte[p].frame;
        pte[p].write = f && (vma[p].soft_dirty || pte[p].soft_dirty) && page[f].exclusive
     :: else
     fi;
     ghost[p].armed = 0;
     if
     :: proc[p].waiting -> /* the store goes on */
        proc[p].waiting = 0;
        store(p, proc[p].argument);
        assert(!blocked);
        ghost[p].value = proc[p].pending_argument; ghost[p].written = 1;
        proc[p].argument = 0; proc[p].pending = 0; proc[p].pending_argument = 0
     :: else
     fi
  :: else
  fi
}

/* ---- normal form: frames by first use, ranks without a gap ---- */

inline swap(left, right) { x = left; left = right; right = x }

inline swap_frames(g, h) {
  swap(page[g].content, page[h].content);
  swap(page[g].mapcount, page[h].mapcount);
  swap(page[g].exclusive, page[h].exclusive);
  swap(page[g].ksm, page[h].ksm);
  swap(page[g].node, page[h].node);
  pte[0].frame = (pte[0].frame == g -> h : (pte[0].frame == h -> g : pte[0].frame));
  pte[1].frame = (pte[1].frame == g -> h : (pte[1].frame == h -> g : pte[1].frame));
  node.frame = (node.frame == g -> h : (node.frame == h -> g : node.frame))
}

inline normalise() {
  ghost[0].was_page = is_anon_page(0);
  ghost[1].was_page = is_anon_page(1);
  f = pte[0].frame;
  if :: f > 1 -> swap_frames(f, 1) :: else fi;
  f = pte[1].frame;
  if
  :: pte[0].frame && f > 2 -> swap_frames(f, 2)
  :: !pte[0].frame && f > 1 -> swap_frames(f, 1)
  :: else
  fi;
  if
  :: proc[0].state == EXITED -> proc[0].merging = 0
  :: else
  fi;
  if
  :: proc[1].state == EXITED -> proc[1].merging = 0
  :: else
  fi;
  if :: !node.used || !node.frame -> node.content = 0 :: else fi;
  if
  :: proc[0].entered == RANK + 1 && proc[1].entered < RANK -> proc[0].entered = RANK
  :: proc[1].entered == RANK + 1 && proc[0].entered < RANK -> proc[1].entered = RANK
  :: else
  fi
}

/* ---- mm/promises: the seven that this kernel keeps in this part. It breaks protect-traps-every-write and soft-dirty-is-complete. ---- */

#define soft_dirty(p) (pte[p].soft_dirty || vma[p].soft_dirty)
#define content(p) (pte[p].present -> page[pte[p].frame].content : 0)
#define maps(p, g) (pte[p].present && pte[p].frame == g)

#define unmerge_leaves_ksm(p) (ghost[p].unmerged && is_anon_page(p) && page[pte[p].frame].ksm)
#define soft_dirty_spurious(p) (ghost[p].mapped && !ghost[p].written && !ghost[p].exempt && soft_dirty(p))
#define isolated(p) (!ghost[p].mapped || content(p) == ghost[p].value)
#define protected_unasked(p) (pte[p].uffd_wp && !ghost[p].registered)
#define consistent_page(p) (pte[p].present -> (pte[p].frame -> (page[pte[p].frame].ksm -> \
    !pte[p].write && !page[pte[p].frame].exclusive : \
    !(page[pte[p].frame].exclusive && page[pte[p].frame].mapcount != 1) && !(pte[p].write && !page[pte[p].frame].exclusive)) : \
  !pte[p].write) : !pte[p].write && !pte[p].dirty)
#define kept(p) (proc[p].state != RUNNING || \
  !unmerge_leaves_ksm(p) && !soft_dirty_spurious(p) && isolated(p) && !protected_unasked(p) && consistent_page(p))
#define mapcount_right(g) (page[g].mapcount == maps(0, g) + maps(1, g))
#define consistent_counters (mapcount_right(1) && mapcount_right(2) && mapcount_right(3) && \
  ksm.pages_shared == (node.used && node.sharers) && ksm.pages_sharing == (node.used && node.sharers > 1))

inline done() {
  normalise();
  assert(!PROMISES || kept(0) && kept(1) && consistent_counters)
}

/* ---- the action table ---- */

#define awake(p) (proc[p].state == RUNNING && !proc[p].waiting)

#define PROCESS(p, q) \
  :: d_step { awake(p) -> do_write(p, 0); done() } \
  :: d_step { awake(p) -> do_write(p, 1); done() } \
  :: d_step { CONTENTS > 1 && awake(p) -> do_write(p, 2); done() } \
  :: d_step { awake(p) -> do_read(p); done() } \
  :: d_step { awake(p) -> do_mergeable(p, q); done() } \
  :: d_step { awake(p) -> do_unmergeable(p); done() } \
  :: d_step { awake(p) -> do_exit(p); done() } \
  :: d_step { awake(p) -> do_clear_refs(p); done() } \
  :: d_step { OPENERS > p && awake(p) && !proc[p].uffd -> proc[p].uffd = 1; done() } \
  :: d_step { proc[p].uffd -> uffd_register(p); done() } \
  :: d_step { proc[p].uffd -> uffd_protect(p); done() } \
  :: d_step { proc[p].uffd -> uffd_release(p); done() }

active proctype part() {
  d_step { /* boot() */
    proc[0].state = RUNNING;
    vma[0].mapped = 1; vma[0].soft_dirty = 1;
    ghost[0].mapped = 1; ghost[0].exempt = 1
  };
  do
  PROCESS(0, 1)
  PROCESS(1, 0)
  :: d_step { awake(0) && proc[1].state == NONE -> do_fork(0, 1); done() }
  :: d_step { ksm_do_scan(); done() }
  od
}
