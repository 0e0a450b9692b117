"""The ORBIT gateway's voice protocol without I/O, and the adapters that its clients ask for."""
