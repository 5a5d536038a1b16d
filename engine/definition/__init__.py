"""What a workflow is: values without input or output of their own."""
