"""What a confirmation is made of: the objects a job is about, the plan that is shown, the form that is sent."""
