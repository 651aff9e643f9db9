"""How a session passes from task to task: sealed tickets, and their renewal."""
