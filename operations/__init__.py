"""What an operator does with a deployed stack: run a DAG, look at nodes and pods. Works on AWS and on the embedded cloud alike."""
