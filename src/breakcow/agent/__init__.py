"""What runs on the kernel under test: standard library only, on the host and inside a VM alike."""
