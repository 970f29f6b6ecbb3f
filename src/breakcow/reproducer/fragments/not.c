static int not(int answer)
{
	return answer == UNSEEN ? UNSEEN : !answer;
}
