-- One part of the specification (src/breakcow/mm), stated again for Murphi (rumur): the same part as part.pml, and what is said there holds.

const
  CONTENTS: 1; -- besides zeros
  OPENERS: 2; -- processes 0 .. OPENERS - 1 may open a userfaultfd
  DEAD: 1; -- entered: 0 is not on ksmd's list, then an exited mm in front of it, the first rank, the second
  RANK: 2;

type
  process: 0..1;
  frame: 0..3; -- 0 is the zero page; two pages and the one that is being made
  contents: 0..CONTENTS;
  life: enum { NONE, RUNNING, EXITED };
  Pte: record present: boolean; frame: frame; write, dirty, soft_dirty, uffd_wp: boolean; end;
  Vma: record mapped, mergeable, registered, soft_dirty, anon_vma, chained: boolean; end;
  RmapItem: record known: boolean; checksum: 0..CONTENTS + 1; node, unstable: boolean; end;
  Ghost: record
    value: contents; mapped, mergeable, unmerged, was_page, registered, armed, written, exempt: boolean;
  end;
  Process: record
    state: life; waiting: boolean; argument: contents; entered: 0..3; merging, uffd, pending: boolean; pending_argument: contents;
  end;
  Page: record content: contents; mapcount: 0..2; exclusive, ksm, node: boolean; end;
  StableNode: record used: boolean; frame: frame; content: contents; sharers: 0..2; end; -- frame: 0 if its page was freed
  Ksm: record pages_shared, pages_sharing: boolean; end;

var
  pte: array [process] of Pte;
  vma: array [process] of Vma;
  rmap: array [process] of RmapItem;
  ghost: array [process] of Ghost;
  proc: array [process] of Process;
  page: array [frame] of Page;
  node: StableNode;
  ksm: Ksm;

-- mm/page_alloc, mm/pgtable

procedure forget_page(f: frame);
begin
  page[f].content := 0; page[f].exclusive := false; page[f].ksm := false; page[f].node := false;
end;

function alloc_page(): frame;
begin
  for f: 1..3 do
    if page[f].mapcount = 0 then
      return f;
    end;
  end;
  error "no frame is free";
end;

procedure put_page(f: frame); -- one mapping less
begin
  page[f].mapcount := page[f].mapcount - 1;
  if page[f].mapcount = 0 then
    if page[f].node then
      node.frame := 0;
      if node.sharers = 0 then
        node.used := false;
      end;
    end;
    forget_page(f);
  end;
end;

procedure set_pte(p: process; f: frame);
begin
  pte[p].present := true; pte[p].frame := f;
  pte[p].write := false; pte[p].dirty := false; pte[p].soft_dirty := false; pte[p].uffd_wp := false;
end;

function is_anon_page(p: process): boolean;
begin
  return pte[p].present & pte[p].frame != 0;
end;

procedure zap_pte(p: process);
var old: frame;
begin
  old := pte[p].frame;
  set_pte(p, 0);
  pte[p].present := false;
  if old != 0 then
    put_page(old);
  end;
end;

-- mm/memory

procedure map_new_page(p: process; c: contents);
var f: frame;
begin
  f := alloc_page();
  forget_page(f);
  page[f].content := c; page[f].mapcount := 1; page[f].exclusive := true;
  set_pte(p, f);
end;

procedure writable_and_dirty(p: process);
begin
  pte[p].write := true; pte[p].dirty := true; pte[p].soft_dirty := true;
end;

procedure wp_page_copy(p: process; unshare: boolean);
var old: frame; soft_dirty: boolean; uffd_wp: boolean;
begin
  old := pte[p].frame; soft_dirty := pte[p].soft_dirty; uffd_wp := pte[p].uffd_wp;
  vma[p].anon_vma := true;
  map_new_page(p, page[old].content);
  if unshare then
    pte[p].soft_dirty := soft_dirty; pte[p].uffd_wp := uffd_wp;
  else
    writable_and_dirty(p);
  end;
  if old != 0 then
    put_page(old);
  end;
end;

procedure wp_page(p: process); -- do_wp_page() of a store that need not wait
var f: frame;
begin
  f := pte[p].frame;
  if f != 0 & !page[f].ksm & page[f].mapcount = 1 then -- can_reuse()
    page[f].exclusive := true;
  end;
  if f != 0 & page[f].exclusive then
    writable_and_dirty(p);
  else
    wp_page_copy(p, false);
  end;
end;

function store(p: process; c: contents): boolean; -- mm/fault; false if it waits in handle_userfault()
begin
  if !pte[p].present then -- do_anonymous_page()
    vma[p].anon_vma := true;
    map_new_page(p, 0);
    writable_and_dirty(p);
  elsif !pte[p].write then
    if vma[p].registered & pte[p].uffd_wp then
      return false;
    end;
    wp_page(p);
  end;
  pte[p].dirty := true;
  page[pte[p].frame].content := c;
  return true;
end;

procedure break_ksm(p: process);
begin
  if is_anon_page(p) & page[pte[p].frame].ksm then
    wp_page_copy(p, true);
  end;
end;

-- mm/ksm_tree

procedure leave_node(p: process);
begin
  node.sharers := node.sharers - 1;
  rmap[p].node := false;
  proc[p].merging := false;
  if node.sharers > 0 then
    ksm.pages_sharing := false;
  else
    ksm.pages_shared := false;
  end;
end;

procedure remove_rmap_item_from_tree(p: process);
begin
  rmap[p].unstable := false;
  if rmap[p].node then
    if node.frame != 0 then
      leave_node(p);
    else -- remove_node_from_stable_tree(): its page was freed
      for q: process do
        if rmap[q].node then
          leave_node(q);
        end;
      end;
      node.used := false;
    end;
  end;
end;

procedure free_rmap_item(p: process);
begin
  remove_rmap_item_from_tree(p);
  rmap[p].known := false; rmap[p].checksum := 0;
end;

procedure stable_tree_insert(f: frame);
begin
  assert !node.used "a second stable node";
  node.used := true; node.frame := f; node.content := page[f].content; node.sharers := 0;
  page[f].node := true;
end;

procedure stable_tree_append(p: process);
begin
  node.sharers := node.sharers + 1;
  rmap[p].node := true;
  proc[p].merging := true;
  if node.sharers > 1 then
    ksm.pages_sharing := true;
  else
    ksm.pages_shared := true;
  end;
end;

-- mm/ksm_scan

function write_protect_page(p: process): boolean; -- false for a KSM page
var f: frame;
begin
  f := pte[p].frame;
  if page[f].ksm then
    return false;
  end;
  if pte[p].write | pte[p].dirty | page[f].exclusive then
    page[f].exclusive := false; pte[p].dirty := false; pte[p].write := false;
  end;
  return true;
end;

function merge_one_page(p: process; kpage: frame): boolean; -- try_to_merge_one_page() with a KSM page
var old: frame;
begin
  old := pte[p].frame;
  if old = kpage then
    return true;
  end;
  if !write_protect_page(p) then
    return false;
  end;
  if page[old].content != page[kpage].content then
    return false;
  end;
  set_pte(p, kpage); -- replace_page()
  page[kpage].mapcount := page[kpage].mapcount + 1;
  put_page(old);
  return true;
end;

procedure merge_with_unstable_tree(p: process);
var f: frame; q: process;
begin
  f := pte[p].frame;
  q := 1 - p;
  if rmap[q].unstable & is_anon_page(q) & page[pte[q].frame].content = page[f].content then
    if pte[q].frame != f & write_protect_page(p) then -- try_to_merge_two_pages()
      page[f].ksm := true;
      if merge_one_page(q, f) then
        remove_rmap_item_from_tree(p);
        remove_rmap_item_from_tree(q);
        stable_tree_insert(f);
        stable_tree_append(q);
        stable_tree_append(p);
      else
        break_ksm(p);
      end;
    end;
  else
    rmap[p].unstable := true;
  end;
end;

procedure merge(p: process); -- the stable tree, then the unstable one
var f: frame; found: boolean;
begin
  f := pte[p].frame;
  found := page[f].node | (node.used & node.frame != 0 & node.content = page[f].content & node.sharers > 0);
  remove_rmap_item_from_tree(p);
  if !found then
    merge_with_unstable_tree(p);
  elsif merge_one_page(p, node.frame) then
    stable_tree_append(p);
  end;
end;

procedure cmp_and_merge_page(p: process);
begin
  if page[pte[p].frame].node then
    if !rmap[p].node then
      merge(p);
    end;
  else
    remove_rmap_item_from_tree(p);
    if rmap[p].checksum = page[pte[p].frame].content + 1 then
      merge(p);
    else
      rmap[p].checksum := page[pte[p].frame].content + 1;
    end;
  end;
end;

procedure scan_mm(p: process);
begin
  if proc[p].state = RUNNING & vma[p].mapped & vma[p].mergeable & vma[p].anon_vma & is_anon_page(p) then
    rmap[p].known := true;
    cmp_and_merge_page(p);
  else
    free_rmap_item(p);
  end;
  if !vma[p].mapped | !vma[p].mergeable then
    proc[p].entered := 0;
  end;
end;

procedure ksm_do_scan();
var first: process;
begin
  for p: process do
    rmap[p].unstable := false;
  end;
  first := proc[1].entered < proc[0].entered ? 1 : 0;
  if proc[first].entered != 0 then
    scan_mm(first);
  end;
  if proc[1 - first].entered != 0 then
    scan_mm(1 - first);
  end;
  for p: process do -- the ghost: a scan is a new licence to merge what is mergeable
    if ghost[p].mergeable then
      ghost[p].unmerged := false;
    end;
  end;
end;

procedure ksm_enter(p: process);
begin
  if proc[p].entered = 0 then
    proc[p].entered := proc[1 - p].entered >= RANK ? RANK + 1 : RANK;
  end;
end;

-- normal form: frames by first use, ranks without a gap

function exchanged(name: frame; f: frame; g: frame): frame;
begin
  if name = f then
    return g;
  end;
  if name = g then
    return f;
  end;
  return name;
end;

procedure name_frame(f: frame; g: frame);
var held: Page;
begin
  if f != g then
    held := page[f]; page[f] := page[g]; page[g] := held;
    for p: process do
      pte[p].frame := exchanged(pte[p].frame, f, g);
    end;
    node.frame := exchanged(node.frame, f, g);
  end;
end;

procedure normalise(); -- every rule ends with it
var k: frame;
begin
  k := 1;
  for p: process do
    ghost[p].was_page := is_anon_page(p);
    if pte[p].frame >= k then
      name_frame(pte[p].frame, k);
      k := k + 1;
    end;
    if proc[p].state = EXITED then
      proc[p].merging := false;
    end;
    if proc[p].entered = RANK + 1 & proc[1 - p].entered < RANK then
      proc[p].entered := RANK;
    end;
  end;
  if !node.used | node.frame = 0 then
    node.content := 0;
  end;
end;

-- the action table: each operation with what it means to the ghost

function awake(p: process): boolean;
begin
  return proc[p].state = RUNNING & !proc[p].waiting;
end;

startstate "boot"
begin
  clear pte; clear vma; clear rmap; clear ghost; clear proc; clear page; clear node; clear ksm;
  proc[0].state := RUNNING;
  vma[0].mapped := true; vma[0].soft_dirty := true;
  ghost[0].mapped := true; ghost[0].exempt := true;
end;

ruleset p: process do

  ruleset c: contents do
    rule "write" awake(p) ==>
    begin
      if store(p, c) then
        ghost[p].value := c; ghost[p].written := true;
      else
        assert ghost[p].armed "no-event-without-a-write";
        proc[p].waiting := true; proc[p].argument := c;
        proc[p].pending := true; proc[p].pending_argument := c;
        ghost[p].exempt := true;
      end;
      normalise();
    end;
  end;

  rule "read" awake(p) ==>
  begin
    if !pte[p].present then
      set_pte(p, 0);
    end;
    assert page[pte[p].frame].content = ghost[p].value "isolation: what was read";
    normalise();
  end;

  rule "mergeable" awake(p) ==>
  begin
    if !vma[p].mergeable then
      ksm_enter(p);
      vma[p].mergeable := true;
    end;
    ghost[p].mergeable := true; ghost[p].unmerged := false;
    normalise();
  end;

  rule "unmergeable" awake(p) ==>
  begin
    if vma[p].mergeable then
      if vma[p].anon_vma then
        break_ksm(p);
      end;
      vma[p].mergeable := false;
    end;
    ghost[p].mergeable := false; ghost[p].unmerged := true;
    normalise();
  end;

  rule "exit" awake(p) ==>
  begin
    if proc[p].entered != 0 then
      proc[p].entered := rmap[p].known ? DEAD : 0;
    end;
    zap_pte(p);
    clear vma[p];
    clear ghost[p];
    proc[p].state := EXITED;
    normalise();
  end;

  rule "clear_refs" awake(p) ==>
  begin
    vma[p].soft_dirty := false;
    if pte[p].present then
      pte[p].write := false; pte[p].soft_dirty := false;
    end;
    ghost[p].written := false; ghost[p].exempt := false;
    normalise();
  end;

  rule "uffd_open" p < OPENERS & awake(p) & !proc[p].uffd ==>
  begin
    proc[p].uffd := true;
    normalise();
  end;

  rule "uffd_register" proc[p].uffd ==>
  begin
    if proc[p].state = RUNNING then
      vma[p].registered := true;
      ghost[p].registered := true;
    end;
    normalise();
  end;

  rule "uffd_protect" proc[p].uffd ==>
  begin
    if proc[p].state = RUNNING & vma[p].registered & pte[p].present then
      pte[p].uffd_wp := true; pte[p].write := false;
      ghost[p].armed := true;
    end;
    normalise();
  end;

  rule "uffd_release" proc[p].uffd ==>
  var f: frame;
  begin
    if proc[p].state = RUNNING & vma[p].registered then
      pte[p].uffd_wp := false;
      if pte[p].present then
        f := pte[p].frame;
        pte[p].write := f != 0 & (vma[p].soft_dirty | pte[p].soft_dirty) & page[f].exclusive;
      end;
      ghost[p].armed := false;
      if proc[p].waiting then -- the store goes on
        proc[p].waiting := false;
        if !store(p, proc[p].argument) then
          error "it waits again";
        end;
        ghost[p].value := proc[p].pending_argument; ghost[p].written := true;
        proc[p].argument := 0; proc[p].pending := false; proc[p].pending_argument := 0;
      end;
    end;
    normalise();
  end;

end;

rule "fork" awake(0) & proc[1].state = NONE ==>
var f: frame;
begin
  proc[1].state := RUNNING;
  vma[1].mapped := true; vma[1].mergeable := vma[0].mergeable; vma[1].soft_dirty := vma[0].soft_dirty;
  if vma[0].anon_vma then
    vma[1].anon_vma := true; vma[1].chained := true;
    if pte[0].present then -- copy_present_pte()
      f := pte[0].frame;
      if f != 0 then
        page[f].mapcount := page[f].mapcount + 1; page[f].exclusive := false;
      end;
      pte[0].write := false;
      set_pte(1, f);
      pte[1].dirty := pte[0].dirty; pte[1].soft_dirty := pte[0].soft_dirty;
    end;
  end;
  if proc[0].entered != 0 then
    ksm_enter(1);
  end;
  ghost[1].value := ghost[0].value; ghost[1].mapped := ghost[0].mapped; ghost[1].mergeable := ghost[0].mergeable;
  ghost[1].written := ghost[0].written; ghost[1].exempt := ghost[0].exempt;
  normalise();
end;

rule "ksm_scan" true ==>
begin
  ksm_do_scan();
  normalise();
end;

-- mm/promises: the seven that this kernel keeps in this part. It breaks protect-traps-every-write and soft-dirty-is-complete.

invariant "unmerge-leaves-no-ksm"
  forall p: process do
    proc[p].state = RUNNING & ghost[p].unmerged & pte[p].present & pte[p].frame != 0 -> !page[pte[p].frame].ksm
  end;

invariant "soft-dirty-is-precise"
  forall p: process do
    proc[p].state = RUNNING & ghost[p].mapped & !ghost[p].written & !ghost[p].exempt -> !pte[p].soft_dirty & !vma[p].soft_dirty
  end;

invariant "isolation"
  forall p: process do
    proc[p].state = RUNNING & ghost[p].mapped -> (pte[p].present ? page[pte[p].frame].content : 0) = ghost[p].value
  end;

invariant "protection-only-where-armed"
  forall p: process do
    proc[p].state = RUNNING & pte[p].uffd_wp -> ghost[p].registered
  end;

invariant "internal-consistency of an entry"
  forall p: process do
    proc[p].state != RUNNING |
      (!pte[p].present & !pte[p].write & !pte[p].dirty) |
      (pte[p].present & pte[p].frame = 0 & !pte[p].write) |
      (pte[p].present & pte[p].frame != 0 & page[pte[p].frame].ksm & !pte[p].write & !page[pte[p].frame].exclusive) |
      (pte[p].present & pte[p].frame != 0 & !page[pte[p].frame].ksm &
        (page[pte[p].frame].exclusive -> page[pte[p].frame].mapcount = 1) & (pte[p].write -> page[pte[p].frame].exclusive))
  end;

invariant "internal-consistency of the counters"
  ksm.pages_shared = (node.used & node.sharers > 0) & ksm.pages_sharing = (node.used & node.sharers > 1) &
  forall f: 1..3 do
    page[f].mapcount = (pte[0].present & pte[0].frame = f ? 1 : 0) + (pte[1].present & pte[1].frame = f ? 1 : 0)
  end;
