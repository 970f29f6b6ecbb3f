//needs processes uffd_abi
static int uffd[PROCESSES];	/* the only descriptor of its userfaultfd, 0 for none */
//with fork
static int forked_uffd;		/* what the last EVENT_FORK brought */
//end
