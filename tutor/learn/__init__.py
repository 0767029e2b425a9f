"""The learner's day: `tutor`, `progress`, `hint`, `solution`, `reset` and `watch`."""
