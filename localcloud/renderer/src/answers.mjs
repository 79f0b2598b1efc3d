// What AWS Lambda's Invoke answers: https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html

/** @typedef {{status: number, headers: Record<string, string>, body: any}} Answer */

/**
 * @param {unknown} body what the function returned
 * @returns {Answer}
 */
export function returned(body) {
	return {status: 200, headers: {'X-Amz-Executed-Version': '$LATEST'}, body};
}

/**
 * The function threw, or died: still a 200, told apart by a header.
 *
 * @param {{name: string, message: string, stack?: string | undefined}} error
 * @returns {Answer}
 */
export function functionError({name, message, stack}) {
	return {
		status: 200,
		headers: {'X-Amz-Executed-Version': '$LATEST', 'X-Amz-Function-Error': 'Unhandled'},
		body: {errorType: name, errorMessage: message, trace: (stack ?? message).split('\n')},
	};
}

/**
 * Lambda itself refused; the function was not run.
 *
 * @param {number} status
 * @param {string} code
 * @param {string} message
 * @param {Record<string, string>} [details]
 * @returns {Answer}
 */
export function refused(status, code, message, details = {}) {
	const body = {Type: status < 500 ? 'User' : 'Service', Message: message, message, ...details};
	return {status, headers: {'X-Amzn-ErrorType': code}, body};
}
